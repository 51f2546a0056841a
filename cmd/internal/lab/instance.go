package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// ErrNotInstance reports bytes that are no DICOM file, or one without the
// identifiers that C-STORE needs.
var ErrNotInstance = errors.New("not a DICOM instance")

// Instance is one DICOM file (PS3.10) and what its meta header says about it.
type Instance struct {
	Name           string // of the file it comes from
	SOPClass       string
	UID            string // SOP instance UID
	TransferSyntax string
	Data           []byte // the whole file
}

// Lengths of the preamble, the magic, and the head of a meta header element
// with a two-byte length.
const preambleSize, magicSize, elementHead = 128, 4, 8

// ParseInstance reads the meta header. Both identifiers must stand in the data
// set, too: dcmtk sends what the data set says, and Variant replaces both.
func ParseInstance(name string, data []byte) (Instance, error) {
	if len(data) < preambleSize+magicSize || string(data[preambleSize:][:magicSize]) != "DICM" {
		return Instance{}, fmt.Errorf("%s: %w: no magic", name, ErrNotInstance)
	}
	meta := metaHeader(data[preambleSize+magicSize:])
	i := Instance{Name: name, SOPClass: meta[0x02], UID: meta[0x03], TransferSyntax: meta[0x10], Data: data}
	if i.SOPClass == "" || i.UID == "" || i.TransferSyntax == "" {
		return Instance{}, fmt.Errorf("%s: %w: incomplete meta header", name, ErrNotInstance)
	}
	if bytes.Count(data, []byte(i.SOPClass)) < 2 || bytes.Count(data, []byte(i.UID)) < 2 {
		return Instance{}, fmt.Errorf("%s: %w: the data set lacks the header's identifiers", name, ErrNotInstance)
	}
	return i, nil
}

// metaHeader returns the values of group 0002 by element number. The group is
// always in explicit VR little endian (PS3.10 section 7.1).
func metaHeader(p []byte) map[uint16]string {
	values := map[uint16]string{}
	for len(p) >= elementHead && binary.LittleEndian.Uint16(p) == 0x0002 {
		element := binary.LittleEndian.Uint16(p[2:])
		value := p[elementHead:]
		size := int(binary.LittleEndian.Uint16(p[6:]))
		if vr := string(p[4:6]); vr == "OB" || vr == "UN" {
			if len(value) < 4 {
				break
			}
			size, value = int(binary.LittleEndian.Uint32(value)), value[4:]
		}
		if size > len(value) {
			break
		}
		values[element] = strings.TrimRight(string(value[:size]), "\x00 ")
		p = value[size:]
	}
	return values
}

// Variant returns the same file as an instance of its own: with another SOP
// instance UID of the same length, made from n. UIDs of the corpus have 41
// bytes and more, room for any n.
func (i Instance) Variant(n int) Instance {
	const root = "2.25.1" // UIDs derived from UUIDs (PS3.5 section B.2)
	uid := fmt.Sprintf("%s%0*d", root, len(i.UID)-len(root), n)
	i.Name = fmt.Sprintf("%s variant %d", i.Name, n)
	i.Data = bytes.ReplaceAll(i.Data, []byte(i.UID), []byte(uid))
	i.UID = uid
	return i
}

// Enlarge returns the instance grown to size bytes by pixels that no
// compression can shrink and that depend on seed. The instance has to be of
// explicit VR little endian with 16 bits a pixel; size must be even and no
// less than what the instance has.
func (i Instance) Enlarge(size int, seed uint64) (Instance, error) {
	const columns, bytesPerPixel = 1024, 2
	head := bytes.LastIndex(i.Data, []byte("\xe0\x7f\x10\x00OW\x00\x00"))
	if head < 0 || size < len(i.Data) || size%2 != 0 {
		return Instance{}, fmt.Errorf("%s: cannot be made %d bytes long", i.Name, size)
	}
	data := make([]byte, size)
	start := head + elementHead + 4
	copy(data, i.Data[:start])
	pixels := data[start:]
	binary.LittleEndian.PutUint32(data[start-4:], uint32(len(pixels)))
	setUint16(data[:head], 0x0010, uint16(len(pixels)/(columns*bytesPerPixel)))
	setUint16(data[:head], 0x0011, columns)
	fill(pixels, seed)
	i.Data = data
	return i, nil
}

// setUint16 changes the value of (0028,element), a US in explicit VR little
// endian, where it stands.
func setUint16(dataSet []byte, element, value uint16) {
	head := binary.LittleEndian.AppendUint16([]byte{0x28, 0x00}, element)
	if at := bytes.Index(dataSet, append(head, "US\x02\x00"...)); at >= 0 {
		binary.LittleEndian.PutUint16(dataSet[at+elementHead:], value)
	}
}

func fill(p []byte, seed uint64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.NewChaCha8(key).Read(p)
}
