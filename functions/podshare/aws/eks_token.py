"""Tokens by which an EKS cluster knows who asks."""

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_SECONDS = 60  # how long the presigned URL in the token is good for; EKS honours the token for 15 minutes


def token(credentials: dict[str, str], region: str, cluster: str) -> str:
    """An EKS token: a presigned GetCallerIdentity that names the cluster (aws-iam-authenticator's format)."""
    request = AWSRequest(
        method="GET",
        url=f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": cluster},
    )
    # a user's keys have no session token
    keys = Credentials(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken"))
    SigV4QueryAuth(keys, "sts", region, expires=_SECONDS).add_auth(request)
    encoded = base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")
    return f"k8s-aws-v1.{encoded}"
