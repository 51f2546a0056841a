package s3

import (
	"net/http"
	"testing"
)

// Check values of "123456789" from the catalogue of parametrised CRC
// algorithms (reveng): CRC-32/ISCSI, CRC-32/ISO-HDLC and CRC-64/NVME.
func TestChecksumsOfWholeObjects(t *testing.T) {
	const text = "123456789"
	for _, c := range []struct {
		header, value string
		kind          string
		n             int
		want          error
	}{
		{"Crc32c", "4waSgw==", "FULL_OBJECT", 9, nil},
		{"Crc32c", "4waSgw==", "", 9, nil},
		{"Crc32c", "4waSgg==", "FULL_OBJECT", 9, errChecksum},
		{"Crc32c", "4waSgg==", "", 20, errChecksum},
		{"Crc32", "y/Q5Jg==", "FULL_OBJECT", 9, nil},
		{"Crc32", "y/Q5Jw==", "FULL_OBJECT", 9, errChecksum},
		{"Crc64nvme", "rosUhgp5mIg=", "FULL_OBJECT", 9, nil},
		{"Crc64nvme", "rosUhgp5mIk=", "FULL_OBJECT", 9, errChecksum},
		{"Crc32c", "4waSgg==-2", "COMPOSITE", 9, nil},
		{"Crc32c", "4waSgg==", "FULL_OBJECT", 8, nil},
		{"Sha1", "AAAA", "FULL_OBJECT", 9, nil},
	} {
		b := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
				t.Error("the checksum was not asked for")
			}
			w.Header().Set("X-Amz-Checksum-"+c.header, c.value)
			w.Header().Set("X-Amz-Checksum-Type", c.kind)
			serve([]byte(text), `"v"`)(w, r)
		}, nil)
		_, _, err := b.Read(t.Context(), "x", "", make([]byte, c.n), 0)
		if c.want != nil {
			wantOnly(t, err, c.want)
		} else if err != nil {
			t.Errorf("%s %s: got error %v", c.header, c.value, err)
		}
	}
}
