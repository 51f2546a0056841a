package azure

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

const blockWorkers = 4 // blocks of one object that are sent at a time

// putBlocks stores body in blocks, which nobody sees until the list of them has
// been committed.
func (b *Bucket) putBlocks(ctx context.Context, u upload, body []byte) (backends.Object, error) {
	client := b.client.NewBlockBlobClient(u.key)
	ids := blockIDs((len(body) + b.sizes.block - 1) / b.sizes.block)
	if err := b.stage(ctx, u.op, client, ids, body); err != nil {
		return backends.Object{}, err
	}
	counted, attempts := countAttempts(ctx)
	resp, err := client.CommitBlockList(counted, ids, &blockblob.CommitBlockListOptions{
		Tier:             b.accessTier(),
		AccessConditions: u.condition,
	})
	if err != nil {
		return backends.Object{}, unsure(*attempts, b.translate(ctx, u.op, err))
	}
	return describe(u.key, int64(len(body)), resp.ETag, resp.LastModified)
}

// stage sends all blocks, a few at a time. The first error ends it.
func (b *Bucket) stage(ctx context.Context, op string, client *blockblob.Client, ids []string, body []byte) error {
	group, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(blockWorkers, len(ids)) {
		workers.Go(func() {
			for i := range next {
				block := body[i*b.sizes.block : min((i+1)*b.sizes.block, len(body))]
				if err := b.stageBlock(group, op, client, ids[i], block); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range ids {
		if group.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := httpconn.Ended(ctx); err != nil {
		return err
	}
	return context.Cause(group)
}

func (b *Bucket) stageBlock(ctx context.Context, op string, client *blockblob.Client, id string, block []byte) error {
	lent, reader, takeBack := lend(ctx, block)
	defer takeBack()
	_, err := client.StageBlock(lent, id, reader, &blockblob.StageBlockOptions{TransactionalValidation: sum(block)})
	if err != nil {
		return b.translate(ctx, op, err)
	}
	return nil
}

// blockIDs returns ids that no other upload uses: blocks of two uploads of one
// key must not mix. All ids of a blob have to be of one length.
func blockIDs(n int) []string {
	var id [16 + 4]byte
	rand.Read(id[:16])
	ids := make([]string, n)
	for i := range ids {
		binary.BigEndian.PutUint32(id[16:], uint32(i))
		ids[i] = base64.StdEncoding.EncodeToString(id[:])
	}
	return ids
}
