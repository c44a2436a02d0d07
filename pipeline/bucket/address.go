package bucket

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

// ErrNoAddress: the store gives out no addresses of its objects.
var ErrNoAddress = errors.New("the store gives out no addresses")

// A Lender is a [Bucket] that can give out an address under which anybody can read one
// object for a while, without credentials. S3 can.
type Lender interface {
	// Address returns one. Whether the object is there shows when it is read. Errors:
	// ErrNoAddress, ErrInvalidKey.
	Address(ctx context.Context, key string, l Lending) (string, error)
}

// Lending says how an object is given out.
type Lending struct {
	// For is how long the address is good, if the store's credentials are as long: those
	// of a machine's role may end before.
	For time.Duration
	// Name and MediaType are those of the file as whoever reads it gets it.
	Name, MediaType string
}

// Address returns an address of an object, or ErrNoAddress of a bucket that is no [Lender].
func Address(ctx context.Context, b Bucket, key string, l Lending) (string, error) {
	if lender, ok := b.(Lender); ok {
		return lender.Address(ctx, key, l)
	}
	return "", fmt.Errorf("address of object %q: %w", key, ErrNoAddress)
}

// Address is [Lender]'s.
func (r *Remote) Address(ctx context.Context, key string, l Lending) (string, error) {
	address, err := r.address(ctx, key, l)
	if err != nil {
		return "", fmt.Errorf("address of object %q: %w", key, err)
	}
	return address, nil
}

func (r *Remote) address(ctx context.Context, key string, l Lending) (string, error) {
	if err := begin(ctx, key); err != nil {
		return "", err
	}
	if !r.store.lends {
		return "", ErrNoAddress
	}
	address, err := r.store.bucket.SignedURL(ctx, r.store.prefix+key, &blob.SignedURLOptions{Expiry: l.For, Method: http.MethodGet, BeforeSign: func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if !as(&in) {
			return ErrNoAddress
		}
		in.ResponseContentType = aws.String(l.MediaType)
		in.ResponseContentDisposition = aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": l.Name}))
		return nil
	}})
	if err != nil {
		return "", r.store.explain(ctx, err)
	}
	return address, nil
}
