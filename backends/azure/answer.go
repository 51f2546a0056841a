package azure

import (
	"io/fs"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"orthanc-bucketfs/backends"
)

// answer says what an answer of the service means for op. The codes are those
// of "Blob service error codes" in the documentation of the REST API.
func (b *Bucket) answer(op string, resp *azcore.ResponseError) *answer {
	a := &answer{status: resp.StatusCode, code: backends.Told(resp.ErrorCode), requestID: requestID(resp.RawResponse)}
	a.meaning = meaning(op, a.status, bloberror.Code(a.code))
	a.advice = b.advice(a.status, bloberror.Code(a.code))
	return a
}

func meaning(op string, status int, code bloberror.Code) error {
	switch {
	case op == "create" && taken(status, code):
		return fs.ErrExist
	case op == "replace" && replaced(status, code):
		return backends.ErrChanged
	case status == http.StatusUnauthorized, status == http.StatusForbidden, code == bloberror.BlobImmutableDueToPolicy:
		return fs.ErrPermission
	case status == http.StatusNotFound && code == bloberror.BlobNotFound && (op == "stat" || op == "read" || op == "delete"):
		return fs.ErrNotExist
	case (op == "read" || op == "delete") && status == http.StatusPreconditionFailed:
		return backends.ErrChanged
	case code == bloberror.BlobArchived, code == bloberror.BlobBeingRehydrated:
		return ErrArchived
	}
	return nil
}

// taken tells whether an answer to Create, or a part of it, proves that there
// is an object under the key, or was a moment ago. A shared access signature that
// does not permit to overwrite makes it a refusal with a code of its own. Blocks
// vanish before they are committed when another object is stored.
func taken(status int, code bloberror.Code) bool {
	switch code {
	case bloberror.BlobAlreadyExists, bloberror.UnauthorizedBlobOverwrite, bloberror.BlobImmutableDueToPolicy,
		bloberror.BlobArchived, bloberror.BlobBeingRehydrated, bloberror.InvalidBlobType, bloberror.InvalidBlockList:
		return true
	}
	return status == http.StatusPreconditionFailed
}

// replaced tells whether an answer to Replace, or a part of it, proves that the
// object is another version by now, or was deleted.
func replaced(status int, code bloberror.Code) bool {
	return status == http.StatusPreconditionFailed || code == bloberror.BlobNotFound || code == bloberror.InvalidBlockList
}

// advice returns what an administrator can do about an answer, if anything.
func (b *Bucket) advice(status int, code bloberror.Code) string {
	switch code {
	case bloberror.ContainerNotFound:
		return "container " + b.container + " does not exist: create it, or correct its name"
	case bloberror.ContainerBeingDeleted:
		return "container " + b.container + " is being deleted: wait, or use another"
	case bloberror.AuthenticationFailed, bloberror.InvalidAuthenticationInfo:
		return "check the credentials, and this machine's clock"
	case bloberror.AuthorizationFailure, bloberror.AuthorizationPermissionMismatch, bloberror.InsufficientAccountPermissions:
		return "check the rights of these credentials, and the account's network rules"
	case bloberror.SnapshotsPresent:
		return "delete the object's snapshots first"
	case bloberror.BlobImmutableDueToPolicy:
		return "an immutability policy or a legal hold protects it"
	case bloberror.LeaseIDMissing:
		return "somebody holds a lease on it"
	}
	if status == http.StatusNotFound && code == "" {
		return "it does not come from Blob Storage: check the address, and for a proxy"
	}
	return ""
}
