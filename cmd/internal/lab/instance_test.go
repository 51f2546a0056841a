package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

const (
	testClass  = "1.2.840.10008.5.1.4.1.1.4"
	testUID    = "1.2.276.0.7230010.3.1.4.8323329.13666.1517875247.3"
	testSyntax = "1.2.840.10008.1.2.1"
)

// element encodes one in explicit VR little endian.
func element(group, number uint16, vr, value string) []byte {
	if len(value)%2 != 0 {
		value += "\x00"
	}
	e := binary.LittleEndian.AppendUint16(nil, group)
	e = append(binary.LittleEndian.AppendUint16(e, number), vr...)
	if vr == "OB" || vr == "OW" {
		e = binary.LittleEndian.AppendUint32(append(e, 0, 0), uint32(len(value)))
	} else {
		e = binary.LittleEndian.AppendUint16(e, uint16(len(value)))
	}
	return append(e, value...)
}

// meta encodes the start of a DICOM file.
func meta(class, uid, syntax string) []byte {
	return concat(make([]byte, preambleSize), []byte("DICM"),
		element(2, 0x01, "OB", "\x00\x01"),
		element(2, 0x02, "UI", class),
		element(2, 0x03, "UI", uid),
		element(2, 0x10, "UI", syntax))
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func testFile() []byte {
	return concat(meta(testClass, testUID, testSyntax),
		element(8, 0x16, "UI", testClass),
		element(8, 0x18, "UI", testUID),
		element(0x28, 0x10, "US", "\x02\x00"),
		element(0x28, 0x11, "US", "\x02\x00"),
		element(0x7fe0, 0x10, "OW", "pixels!!"))
}

func parsed(t *testing.T, data []byte) Instance {
	t.Helper()
	i, err := ParseInstance("test.dcm", data)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestParseInstance(t *testing.T) {
	i := parsed(t, testFile())
	if i.SOPClass != testClass || i.UID != testUID || i.TransferSyntax != testSyntax {
		t.Errorf("got %q, %q, %q", i.SOPClass, i.UID, i.TransferSyntax)
	}
}

func TestParseInstanceRefuses(t *testing.T) {
	header := meta(testClass, testUID, testSyntax)
	for name, data := range map[string][]byte{
		"nothing":              nil,
		"no magic":             testFile()[preambleSize:],
		"no class":             concat(meta("", testUID, testSyntax), testFile()[len(header):]),
		"no transfer syntax":   concat(meta(testClass, testUID, ""), testFile()[len(header):]),
		"cut off in a head":    testFile()[:preambleSize+magicSize+5],
		"cut off in a value":   testFile()[:len(header)-10],
		"cut off in a length":  testFile()[:preambleSize+magicSize+elementHead+2],
		"other in data set":    concat(header, element(8, 0x16, "UI", testClass), element(8, 0x18, "UI", "1.2.3")),
		"no class in data set": concat(header, element(8, 0x18, "UI", testUID)),
	} {
		if _, err := ParseInstance(name, data); !errors.Is(err, ErrNotInstance) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestVariant(t *testing.T) {
	original := parsed(t, testFile())
	one, two := original.Variant(1), original.Variant(2)
	for _, v := range []Instance{one, two} {
		if again := parsed(t, v.Data); again.UID != v.UID || again.SOPClass != testClass {
			t.Errorf("parses as %q of %q, want %q", again.UID, again.SOPClass, v.UID)
		}
		if len(v.UID) != len(testUID) || !strings.HasPrefix(v.UID, "2.25.1") {
			t.Errorf("UID %q, original %q", v.UID, testUID)
		}
		if restored := bytes.ReplaceAll(v.Data, []byte(v.UID), []byte(testUID)); !bytes.Equal(restored, original.Data) {
			t.Error("something else has changed, too")
		}
	}
	if one.UID == two.UID {
		t.Error("two variants have one UID")
	}
	if original.UID != testUID || !bytes.Equal(original.Data, testFile()) {
		t.Error("the original has changed")
	}
}

func TestEnlarge(t *testing.T) {
	original := parsed(t, testFile())
	const size = 1 << 20
	one, err := original.Enlarge(size, 1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := original.Enlarge(size, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Data) != size || bytes.Equal(one.Data, two.Data) {
		t.Errorf("%d bytes, equal %v", len(one.Data), bytes.Equal(one.Data, two.Data))
	}
	start := len(testFile()) - len("pixels!!")
	pixels := size - start
	if got := binary.LittleEndian.Uint32(one.Data[start-4:]); int(got) != pixels {
		t.Errorf("pixel data claims %d bytes, has %d", got, pixels)
	}
	for n, want := range map[uint16]uint16{0x10: uint16(pixels / 2048), 0x11: 1024} {
		value := string(binary.LittleEndian.AppendUint16(nil, want))
		if !bytes.Contains(one.Data[:start], element(0x28, n, "US", value)) {
			t.Errorf("(0028,%04x) is not %d", n, want)
		}
	}
	if !bytes.Equal(original.Data, testFile()) {
		t.Error("the original has changed")
	}
}

func TestEnlargeRefuses(t *testing.T) {
	original := parsed(t, testFile())
	if _, err := original.Enlarge(len(original.Data)-2, 0); err == nil {
		t.Error("made smaller")
	}
	if _, err := original.Enlarge(1<<20+1, 0); err == nil {
		t.Error("made odd")
	}
	original.Data = original.Data[:len(original.Data)-20]
	if _, err := original.Enlarge(1<<20, 0); err == nil {
		t.Error("enlarged without pixel data")
	}
}
