package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// RefusedError is an answer of Orthanc's REST API other than 200.
type RefusedError struct {
	Method, Path string
	Status       int
	Answer       string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s %s: HTTP %d: %s", e.Method, e.Path, e.Status, e.Answer)
}

// IsRefused says whether Orthanc answered, and answered no.
func IsRefused(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

// Connect returns the client of an Orthanc that runs already, and that nothing
// is known of but its URL and the way to it.
func Connect(url string, way http.RoundTripper) *Orthanc {
	return &Orthanc{URL: url, http: &http.Client{Transport: way}}
}

// Upload sends one DICOM file and returns Orthanc's identifier of the instance.
func (o *Orthanc) Upload(ctx context.Context, dicom []byte) (id string, err error) {
	var stored struct{ ID string }
	err = o.json(ctx, http.MethodPost, "/instances", dicom, &stored)
	return stored.ID, err
}

// File returns the DICOM file of an instance.
func (o *Orthanc) File(ctx context.Context, id string) ([]byte, error) {
	return o.do(ctx, http.MethodGet, "/instances/"+id+"/file", nil)
}

// Attachments names the files Orthanc keeps for an instance, as in "dicom".
func (o *Orthanc) Attachments(ctx context.Context, id string) ([]string, error) {
	var names []string
	err := o.json(ctx, http.MethodGet, "/instances/"+id+"/attachments", nil, &names)
	return names, err
}

// Attachment returns one of those files, uncompressed.
func (o *Orthanc) Attachment(ctx context.Context, id, name string) ([]byte, error) {
	return o.do(ctx, http.MethodGet, "/instances/"+id+"/attachments/"+name+"/data", nil)
}

// AttachmentMD5 returns the MD5 of that file in hex, computed by Orthanc when
// it received the file, before it stored it.
func (o *Orthanc) AttachmentMD5(ctx context.Context, id, name string) (string, error) {
	sum, err := o.do(ctx, http.MethodGet, "/instances/"+id+"/attachments/"+name+"/md5", nil)
	return string(sum), err
}

// AttachmentUUID returns the UUID under which that file is stored, of an instance
// or of a series; level is "instances" or "series".
func (o *Orthanc) AttachmentUUID(ctx context.Context, level, id, name string) (string, error) {
	var info struct{ Uuid string }
	err := o.json(ctx, http.MethodGet, "/"+level+"/"+id+"/attachments/"+name+"/info", nil, &info)
	if err == nil && info.Uuid == "" {
		err = fmt.Errorf("Orthanc does not tell the UUID of %s of %s", name, id)
	}
	return info.Uuid, err
}

// Find returns Orthanc's identifiers of the instances with a SOP instance UID.
func (o *Orthanc) Find(ctx context.Context, uid string) ([]string, error) {
	var found []struct{ ID, Type string }
	if err := o.json(ctx, http.MethodPost, "/tools/lookup", []byte(uid), &found); err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range found {
		if f.Type == "Instance" {
			ids = append(ids, f.ID)
		}
	}
	return ids, nil
}

// Instances returns the identifiers of all instances.
func (o *Orthanc) Instances(ctx context.Context) ([]string, error) {
	var ids []string
	err := o.json(ctx, http.MethodGet, "/instances", nil, &ids)
	return ids, err
}

// Delete removes an instance.
func (o *Orthanc) Delete(ctx context.Context, id string) error {
	_, err := o.do(ctx, http.MethodDelete, "/instances/"+id, nil)
	return err
}

// Statistics is the part of Orthanc's /statistics that matters here.
type Statistics struct {
	CountPatients, CountInstances int
	TotalDiskSize                 int64 `json:",string"` // bytes of all attachments
}

// Statistics counts what Orthanc has.
func (o *Orthanc) Statistics(ctx context.Context) (Statistics, error) {
	var s Statistics
	err := o.json(ctx, http.MethodGet, "/statistics", nil, &s)
	return s, err
}

// Version returns Orthanc's own.
func (o *Orthanc) Version(ctx context.Context) (string, error) {
	var system struct{ Version string }
	err := o.json(ctx, http.MethodGet, "/system", nil, &system)
	return system.Version, err
}

// Patient is who an image is of.
type Patient struct{ PatientName, PatientID string }

// Patients returns the patients Orthanc has images of.
func (o *Orthanc) Patients(ctx context.Context) ([]Patient, error) {
	var found []struct{ MainDicomTags Patient }
	err := o.json(ctx, http.MethodGet, "/patients?expand", nil, &found)
	patients := make([]Patient, len(found))
	for n, f := range found {
		patients[n] = f.MainDicomTags
	}
	return patients, err
}

func (o *Orthanc) json(ctx context.Context, method, path string, body []byte, into any) error {
	answer, err := o.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (o *Orthanc) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, o.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return o.exchange(req)
}

func (o *Orthanc) exchange(req *http.Request) ([]byte, error) {
	resp, err := o.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &RefusedError{Method: req.Method, Path: req.URL.Path, Status: resp.StatusCode, Answer: string(answer)}
	}
	return answer, nil
}
