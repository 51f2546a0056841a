package s3

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/crc64"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// crc64NVME is the polynomial of the NVM Express base specification, section
// 5.2.1.3.4 of revision 1.0 of its NVM command set, in reversed bit order.
const crc64NVME = 0x9a6c9329ac4bc9b5

var errChecksum = errors.New("the bytes received do not have the checksum that the store tells: look for a fault of network, memory or store")

// crc32c returns the checksum of p as headers have it.
func crc32c(p []byte) string {
	return encode32(crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
}

func encode32(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func encode64(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// verify compares a whole object with the checksum that came with it, if that
// is of a kind it knows. The checksum of an object stored in parts may be one
// of checksums, and is not compared.
func verify(p []byte, out *s3.GetObjectOutput) error {
	if out.ChecksumType == types.ChecksumTypeComposite {
		return nil
	}
	match := true
	switch {
	case out.ChecksumCRC32C != nil:
		match = *out.ChecksumCRC32C == crc32c(p)
	case out.ChecksumCRC64NVME != nil:
		match = *out.ChecksumCRC64NVME == encode64(crc64.Checksum(p, crc64.MakeTable(crc64NVME)))
	case out.ChecksumCRC32 != nil:
		match = *out.ChecksumCRC32 == encode32(crc32.ChecksumIEEE(p))
	}
	if !match {
		return errChecksum
	}
	return nil
}
