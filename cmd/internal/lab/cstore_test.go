package lab

import (
	"slices"
	"testing"
)

func TestStoreResponses(t *testing.T) {
	output := `I: checking input files ...
I: Requesting Association
I: Association Accepted (Max Send PDV: 16372)
I: Sending file: /a
I: Sending Store Request (MsgID 1, CT)
XMIT: ...
I: Received Store Response (Success)
I: Sending file: /b
E: Bad DICOM file: /b: I/O suspension or premature end of stream
I: Sending file: /c
I: Received Store Response (Refused: OutOfResources)
I: Sending file: /d
I: Received Store Response (Success)
I: Sending file: /e
E: Store Failed, file: /e:
`
	success, begun := storeResponses([]byte(output), []string{"/a", "/b", "/c", "/d", "/e", "/f"})
	if want := []bool{true, false, false, true, false, false}; !begun || !slices.Equal(success, want) {
		t.Errorf("got %v, begun %v", success, begun)
	}
	if _, begun := storeResponses([]byte("F: Association Request Failed"), nil); begun {
		t.Error("begun without an association")
	}
}

func TestStorescuProfile(t *testing.T) {
	profile := string(storescuProfile([]Instance{
		{SOPClass: "1.1", TransferSyntax: "2.1"},
		{SOPClass: "1.2", TransferSyntax: "2.2"},
		{SOPClass: "1.1", TransferSyntax: "2.2"},
		{SOPClass: "1.1", TransferSyntax: "2.1"},
	}))
	want := `[[TransferSyntaxes]]
[TS0]
TransferSyntax1 = 2.1
[TS1]
TransferSyntax1 = 2.2
[[PresentationContexts]]
[Proposed]
PresentationContext1 = 1.1\TS0
PresentationContext2 = 1.2\TS1
PresentationContext3 = 1.1\TS1
[[Profiles]]
[All]
PresentationContexts = Proposed
`
	if profile != want {
		t.Errorf("got:\n%s", profile)
	}
}
