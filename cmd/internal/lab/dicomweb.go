package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
)

// dicomWeb is the root of the plugin's API.
const dicomWeb = "/dicom-web"

// WebInstance is an instance as QIDO-RS and the metadata of WADO-RS describe it.
type WebInstance struct{ Study, Series, UID string }

// Path is that of the instance below the root of the API, its series's and its
// study's being its beginning.
func (i WebInstance) Path() string { return i.SeriesPath() + "/instances/" + i.UID }

// SeriesPath is that of the series of the instance.
func (i WebInstance) SeriesPath() string { return "/studies/" + i.Study + "/series/" + i.Series }

// StoreWeb sends instances by STOW-RS, in one request.
func (o *Orthanc) StoreWeb(ctx context.Context, instances []Instance) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, i := range instances {
		part, err := form.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err != nil {
			return err
		}
		if _, err := part.Write(i.Data); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL+dicomWeb+"/studies", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=`+form.Boundary())
	_, err = o.exchange(req)
	return err
}

// SearchWeb returns all instances, by QIDO-RS.
func (o *Orthanc) SearchWeb(ctx context.Context) ([]WebInstance, error) {
	return o.describe(ctx, "/instances?limit=1000000")
}

// MetadataWeb returns the instances of a series as the metadata of WADO-RS tells
// of them.
func (o *Orthanc) MetadataWeb(ctx context.Context, series string) ([]WebInstance, error) {
	return o.describe(ctx, series+"/metadata")
}

func (o *Orthanc) describe(ctx context.Context, path string) ([]WebInstance, error) {
	var found []map[string]struct{ Value []any } // DICOM JSON: by tag
	if err := o.json(ctx, http.MethodGet, dicomWeb+path, nil, &found); err != nil {
		return nil, err
	}
	instances := make([]WebInstance, len(found))
	for n, tags := range found {
		value := func(tag string) string {
			if v := tags[tag].Value; len(v) > 0 {
				return fmt.Sprint(v[0])
			}
			return ""
		}
		instances[n] = WebInstance{Study: value("0020000D"), Series: value("0020000E"), UID: value("00080018")}
	}
	return instances, nil
}

// FindWeb returns the instance with a SOP instance UID, by QIDO-RS. There must be
// one.
func (o *Orthanc) FindWeb(ctx context.Context, uid string) (WebInstance, error) {
	found, err := o.describe(ctx, "/instances?SOPInstanceUID="+uid)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("QIDO-RS finds %d instances with UID %s", len(found), uid)
	}
	if err != nil {
		return WebInstance{}, err
	}
	return found[0], nil
}

// RetrieveWeb returns the file of an instance, by WADO-RS, in the transfer syntax
// that it is stored in.
func (o *Orthanc) RetrieveWeb(ctx context.Context, i WebInstance) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+dicomWeb+i.Path(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", `multipart/related; type="application/dicom"; transfer-syntax=*`)
	answer, err := o.exchange(req)
	if err != nil {
		return nil, err
	}
	return firstPart(answer)
}

// FrameWeb returns the first frame of an instance, by WADO-RS.
func (o *Orthanc) FrameWeb(ctx context.Context, i WebInstance) ([]byte, error) {
	answer, err := o.do(ctx, http.MethodGet, dicomWeb+i.Path()+"/frames/1", nil)
	if err != nil {
		return nil, err
	}
	return firstPart(answer)
}

func firstPart(answer []byte) ([]byte, error) {
	boundary, _, ok := bytes.Cut(bytes.TrimLeft(answer, "\r\n"), []byte("\r\n"))
	if !ok || !bytes.HasPrefix(boundary, []byte("--")) {
		return nil, errors.New("an answer to WADO-RS that is not multipart")
	}
	part, err := multipart.NewReader(bytes.NewReader(answer), string(boundary[2:])).NextPart()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(part)
}

// CachedMetadata returns the names of the attachments of all series. With
// DICOMweb each has one soon after it was stored: the metadata of its instances.
func (o *Orthanc) CachedMetadata(ctx context.Context) (map[string][]string, error) {
	var series []string
	if err := o.json(ctx, http.MethodGet, "/series", nil, &series); err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for _, id := range series {
		var attachments []string
		if err := o.json(ctx, http.MethodGet, "/series/"+id+"/attachments", nil, &attachments); err != nil {
			return nil, err
		}
		names[id] = attachments
	}
	return names, nil
}
