package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob/s3blob"
)

// defaultRegion is what compatible stores sign with when nobody tells.
const defaultRegion = "us-east-1"

// openS3 opens a bucket of S3. Nothing is asked of the store yet.
func openS3(o Options, at location) (*Remote, error) {
	client, endpoint, err := newS3Client(o)
	if err != nil {
		return nil, err
	}
	bucket, err := s3blob.OpenBucket(context.Background(), client, at.name, &s3blob.Options{RequestChecksumCalculation: client.Options().RequestChecksumCalculation})
	if err != nil {
		return nil, err
	}
	t := troubles{store: "s3://" + at.name, endpoint: endpoint, name: at.name, timeout: o.timeout(), now: o.now(), words: s3Words}
	return &Remote{store: remoteStore{bucket: bucket, prefix: at.prefix, lends: true, explain: t.explain}}, nil
}

func newS3Client(o Options) (client *s3.Client, endpoint string, err error) {
	// The background's context, since this reads files and the environment only.
	loaded, err := config.LoadDefaultConfig(context.Background(), func(l *config.LoadOptions) error {
		l.Region = o.Region
		l.HTTPClient = awshttp.NewBuildableClient() // which takes in AWS_CA_BUNDLE
		l.Logger = logging.Nop{}                    // what matters comes back as an error
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the AWS configuration: %w", err)
	}
	if buildable, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
		loaded.HTTPClient = newHTTPClient(buildable.GetTransport(), o.timeout())
	}
	var provider aws.CredentialsProvider = credentials{loaded.Credentials}
	if o.Keys != nil {
		provider = fixedCredentials(*o.Keys)
	}
	loaded.Credentials = aws.NewCredentialsCache(provider)
	missingRegion := false
	client = s3.NewFromConfig(loaded, func(s *s3.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
		own := s.BaseEndpoint != nil
		s.UsePathStyle = own
		if o.PathStyle != nil {
			s.UsePathStyle = *o.PathStyle
		}
		if s.Region == "" && own {
			s.Region = defaultRegion
		}
		missingRegion = s.Region == ""
		if o.Checksums == ChecksumsWhenRequired {
			s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
		s.Retryer = newRetryer(o.timeout())
		s.DisableLogOutputChecksumValidationSkipped = true
		endpoint = aws.ToString(s.BaseEndpoint)
	})
	if missingRegion {
		return nil, "", errors.New("the region is not known; add ?region=… to the address, or set AWS_REGION")
	}
	if endpoint == "" {
		endpoint = "AWS, region " + client.Options().Region
	}
	return client, endpoint, nil
}

// retryer is the SDK's, but it does not wait for a silent store again and again.
type retryer struct{ aws.RetryerV2 }

func newRetryer(timeout time.Duration) aws.Retryer {
	return retryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = longestGap(timeout)
		// The SDK's own budget is shared by all requests, so that one would be refused
		// for the failures of others.
		o.RateLimiter = ratelimit.None
	})}
}

// IsErrorRetryable is the SDK's but for what cannot become better.
func (r retryer) IsErrorRetryable(err error) bool {
	return !hopeless(err) && r.RetryerV2.IsErrorRetryable(err)
}

// RetryDelay is how long to wait after the attempt of that number.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	var silence *silenceError
	if errors.As(err, &silence) && attempt >= silentAttempts {
		return 0, err
	}
	return r.RetryerV2.RetryDelay(attempt, err)
}

// credentials tells a failure to find credentials from all others.
type credentials struct{ next aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.next.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{err}
	}
	return found, err
}

// fixedCredentials are those of the options.
type fixedCredentials Keys

func (c fixedCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: c.Access, SecretAccessKey: c.Secret, Source: "options"}, nil
}

// A credentialsError is that there are none to be had.
type credentialsError struct{ cause error }

func (e *credentialsError) Error() string { return e.cause.Error() }
func (e *credentialsError) Unwrap() error { return e.cause }
