package lab

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"slices"
)

// DICOM is Orthanc's name of the attachment that is the DICOM file.
const DICOM = "dicom"

// Image is an instance that Orthanc has acknowledged.
type Image struct {
	Instance
	ID   string            // Orthanc's
	Sums map[string]string // MD5 in hex of each of its attachments, from before they were stored
}

// StoreREST sends an instance by REST, and sees that Orthanc received it as it
// is.
func (o *Orthanc) StoreREST(ctx context.Context, i Instance) (Image, error) {
	id, err := o.Upload(ctx, i.Data)
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", i.Name, err)
	}
	image, err := o.withSums(ctx, Image{Instance: i, ID: id})
	if sum := MD5(i.Data); err == nil && image.Sums[DICOM] != sum {
		err = fmt.Errorf("%s: Orthanc received MD5 %s, sent was %s", i.Name, image.Sums[DICOM], sum)
	}
	return image, err
}

// StoreDICOM sends instances by C-STORE, in one association. Orthanc encodes
// what it receives anew, so the sums are those of its own files.
func (o *Orthanc) StoreDICOM(ctx context.Context, instances []Instance) ([]Image, error) {
	acknowledged, output, err := CStore(ctx, o.DICOMPort, instances)
	if err != nil {
		return nil, err
	}
	if slices.Contains(acknowledged, false) {
		return nil, fmt.Errorf("not all were acknowledged:\n%s", output)
	}
	images := make([]Image, len(instances))
	for n, i := range instances {
		if images[n], err = o.Lookup(ctx, i); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// Lookup describes an instance that Orthanc must have, once.
func (o *Orthanc) Lookup(ctx context.Context, i Instance) (Image, error) {
	ids, err := o.Find(ctx, i.UID)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("%d instances have its UID", len(ids))
	}
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", i.Name, err)
	}
	return o.withSums(ctx, Image{Instance: i, ID: ids[0]})
}

func (o *Orthanc) withSums(ctx context.Context, i Image) (Image, error) {
	names, err := o.Attachments(ctx, i.ID)
	if err != nil {
		return i, fmt.Errorf("%s: %w", i.Name, err)
	}
	i.Sums = map[string]string{}
	for _, name := range names {
		if i.Sums[name], err = o.AttachmentMD5(ctx, i.ID, name); err != nil {
			return i, fmt.Errorf("%s: %w", i.Name, err)
		}
	}
	if i.Sums[DICOM] == "" {
		err = fmt.Errorf("%s: Orthanc knows no DICOM file", i.Name)
	}
	return i, err
}

// Check reads all attachments of an image back, and compares.
func (o *Orthanc) Check(ctx context.Context, i Image) error {
	for name, sum := range i.Sums {
		content, err := o.Attachment(ctx, i.ID, name)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		if got := MD5(content); got != sum {
			return fmt.Errorf("%s: %s has MD5 %s, stored was %s", i.Name, name, got, sum)
		}
	}
	file, err := o.File(ctx, i.ID)
	if err == nil && (MD5(file) != i.Sums[DICOM] || !bytes.Contains(file, []byte(i.UID))) {
		err = fmt.Errorf("%s: another image was returned", i.Name)
	}
	return err
}

// MD5 returns the sum as Orthanc writes it.
func MD5(content []byte) string { return fmt.Sprintf("%x", md5.Sum(content)) }
