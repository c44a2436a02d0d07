package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob/azureblob"
)

// openAzure opens a container of Azure Blob Storage. Nothing is asked of the store
// yet.
func openAzure(o Options, at location) (*Remote, error) {
	client, err := newAzureClient(o, at.name)
	if err != nil {
		return nil, err
	}
	bucket, err := azureblob.OpenBucket(context.Background(), client, nil)
	if err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(client.URL())
	if err != nil {
		return nil, fmt.Errorf("the address of the container: %w", err)
	}
	t := troubles{store: "azblob://" + at.name, endpoint: endpoint.Scheme + "://" + endpoint.Host, name: at.name,
		timeout: o.timeout(), now: o.now(), words: azureWords}
	// Accounts with a hierarchical namespace list folder by folder.
	return &Remote{store: remoteStore{bucket: bucket, prefix: at.prefix, unsorted: true, explain: t.explain}}, nil
}

// newAzureClient takes account and credentials from the environment, in this
// order: a connection string, a shared key, a shared access signature, an identity
// (workload, managed, or that of a signed-in user).
func newAzureClient(o Options, name string) (*container.Client, error) {
	options := azureOptions(o)
	if text := os.Getenv("AZURE_STORAGE_CONNECTION_STRING"); text != "" && o.Endpoint == "" {
		client, err := container.NewClientFromConnectionString(text, name, options)
		if err != nil {
			// The cause would repeat parts of the secret.
			return nil, errors.New("AZURE_STORAGE_CONNECTION_STRING cannot be read; copy it again from the storage account's access keys")
		}
		return client, nil
	}
	account := os.Getenv("AZURE_STORAGE_ACCOUNT")
	address, err := azureAddress(o.Endpoint, account, name)
	if err != nil {
		return nil, err
	}
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		if account == "" {
			return nil, errors.New("AZURE_STORAGE_KEY is set but AZURE_STORAGE_ACCOUNT is not; set it to the account's name")
		}
		shared, err := blob.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, errors.New("AZURE_STORAGE_KEY is not a key: it is not base64; copy it again from the storage account's access keys")
		}
		return container.NewClientWithSharedKeyCredential(address, shared, options)
	}
	if signature := os.Getenv("AZURE_STORAGE_SAS_TOKEN"); signature != "" {
		return container.NewClientWithNoCredential(address+"?"+strings.TrimPrefix(signature, "?"), options)
	}
	identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options.ClientOptions})
	if err != nil {
		return nil, fmt.Errorf("find an Azure identity: %w", err)
	}
	return container.NewClient(address, azureIdentity{identity}, options)
}

// azureAddress is the address of a container.
func azureAddress(endpoint, account, name string) (string, error) {
	if endpoint == "" {
		if account == "" {
			return "", errors.New("the storage account is not known; set AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_CONNECTION_STRING")
		}
		endpoint = "https://" + account + ".blob.core.windows.net"
	}
	return url.JoinPath(endpoint, name)
}

func azureOptions(o Options) *container.ClientOptions {
	return &container.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: newHTTPClient(http.DefaultTransport.(*http.Transport).Clone(), o.timeout()),
		Retry: policy.RetryOptions{
			MaxRetries:    attempts - 1,
			RetryDelay:    longestGap(o.timeout()) / 8,
			MaxRetryDelay: longestGap(o.timeout()),
			ShouldRetry:   azureRetries,
		},
		PerCallPolicies: []policy.Policy{countSilences{}},
	}}
}

// azureRetries says whether a request is sent once more.
func azureRetries(response *http.Response, err error) bool {
	var silence *silenceError
	if errors.As(err, &silence) {
		return !silence.last
	}
	if err != nil {
		return !hopeless(err)
	}
	switch response.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// countSilences lets the attempts of one call know of one another, since Azure's
// retries do not count by the kind of failure.
type countSilences struct{}

func (countSilences) Do(request *policy.Request) (*http.Response, error) {
	ctx := context.WithValue(request.Raw().Context(), silencesKey{}, new(silences))
	return request.WithContext(ctx).Next()
}

// azureIdentity tells a failure to find credentials from all others.
type azureIdentity struct{ next azcore.TokenCredential }

func (i azureIdentity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := i.next.GetToken(ctx, options)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{err}
	}
	return token, err
}
