"""What boto3 raises, in a line that says what to do. Loaded on use, as boto3 is."""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from s3transfer.exceptions import S3DownloadFailedError

from depth.console import without_user
from depth.errors import first_line

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
)
_LOGIN = (LoginError, SSOError, TokenRetrievalError)
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or correct its name",
    "InvalidBucketName": "this is not a bucket's name; correct it",
    "InvalidAccessKeyId": "the access key is unknown; check AWS_PROFILE and AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; log in again",
    "InvalidToken": "the session token is wrong; check AWS_SESSION_TOKEN or log in again",
    "NoSuchUpload": "the upload was aborted from elsewhere; push again",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
}
_DENIED = {"AccessDenied", "403"}
# Odd credentials raise the last three: a token's file that is missing, a key with a line feed.
FOREIGN = (BotoCoreError, ClientError, S3DownloadFailedError, OSError, ValueError, KeyError)
_SIGNED = re.compile(r"AWS4-HMAC.*|\S*(Signature|Credential)=.*")


def one_line(error: Exception) -> str:
    """First line of an error of the client, without signatures and passwords."""
    return _SIGNED.sub("...", without_user(first_line(error)))


def advice(error: Exception) -> str:
    """What to do about an error of the client, in a line."""
    if "Invalid header value" in str(error):
        return (
            "the access key or the session token holds a line feed or other white space; correct "
            "AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or the credentials file"
        )
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; the AWS settings name this file"
    if isinstance(error, _LOGIN):
        return f"no credentials ({one_line(error)}); log in again: aws sso login"
    if isinstance(error, _NO_CREDENTIALS):
        return (
            f"no credentials ({one_line(error)}); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or run where a role gives them"
        )
    if isinstance(error, NoConnection):
        return f"cannot be reached ({one_line(error)}); check --endpoint-url, AWS_REGION, network"
    if isinstance(error, ReadTimeoutError):
        return f"takes connections and does not answer ({one_line(error)}); check --endpoint-url"
    if isinstance(error, (HTTPClientError, IncompleteReadError)):
        return f"the connection broke off ({one_line(error)}); run the command again"
    if isinstance(error, ClientError) and code(error) in _DENIED:
        return (
            f"{error.operation_name} was denied; the role or user needs s3:ListBucket, "
            "s3:GetObject, and to write s3:PutObject and s3:AbortMultipartUpload"
        )
    if isinstance(error, ClientError) and code(error) in _ADVICE:
        return _ADVICE[code(error)]
    return one_line(error)


def code(error: ClientError) -> str:
    """S3's name for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
