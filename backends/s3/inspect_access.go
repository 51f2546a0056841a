package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// credentials looks for credentials and has the store judge them with a
// listing.
func (e *examination) credentials(ctx context.Context) backends.Finding {
	found, err := e.client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return inspect.Wrong(explained(foreign(err), "there are none: give access_key and secret_key_file, or what the AWS SDK finds in the environment, in ~/.aws or on the machine"))
	}
	page, err := e.List(ctx, backends.ListOptions{Limit: 1})
	if e.example == "" && len(page.Objects) > 0 {
		e.example = page.Objects[0].Key
	}
	e.listed = err
	if api, ok := errors.AsType[*apiError](err); ok {
		if remedy := credentialRemedy(api.code); remedy != "" {
			return inspect.Wrong(explained(err, remedy))
		}
	}
	if found.CanExpire {
		return inspect.Fine(fmt.Sprintf("from %s, renewed in time", found.Source))
	}
	return inspect.Fine("from " + found.Source)
}

// credentialRemedy says what to do about a refusal that is about who asks, and
// nothing about other refusals.
func credentialRemedy(code string) string {
	switch code {
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the latter is Versity S3 Gateway's
		return "correct access_key"
	case "SignatureDoesNotMatch":
		return "the secret key is not that of the access key, or a proxy changes requests: correct the secret key"
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidClientTokenId":
		return "the temporary credentials have ended: renew them, or have the AWS SDK fetch them from the machine's role"
	case "RequestTimeTooSkewed", "RequestExpired":
		return "set this machine's clock (systemd-timesyncd or chrony keep it right)"
	}
	return ""
}

// bucket makes sense of the listing. Without the permission for it S3 refuses a
// missing object instead of reporting it as missing.
func (e *examination) bucket(context.Context) backends.Finding {
	err := e.listed
	if err == nil {
		return inspect.Fine(e.cfg.Bucket + " exists and can be listed")
	}
	api, ok := errors.AsType[*apiError](err)
	switch {
	case !ok:
	case api.code == "NoSuchBucket" || api.status == http.StatusNotFound:
		err = explained(err, "correct bucket, endpoint or path_style, or make the bucket")
	case api.code == "AuthorizationHeaderMalformed" || api.status == http.StatusMovedPermanently:
		err = explained(err, "set region to that of the bucket")
	case errors.Is(err, fs.ErrPermission):
		err = explained(inspect.Lacking(err, "s3:ListBucket for the bucket"),
			"without it the store refuses an object that does not exist instead of reporting it as missing, and nothing could be stored")
	}
	return inspect.Wrong(err)
}

func explained(err error, remedy string) error { return fmt.Errorf("%w: %s", err, remedy) }
