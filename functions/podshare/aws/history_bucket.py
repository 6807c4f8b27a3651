"""The bucket with the history of who had access: objects are added to it, and nothing else is done."""

from dataclasses import dataclass

from podshare.aws.sessions import impatient_hub_client


@dataclass(frozen=True, slots=True)
class HistoryBucket:
    """The bucket, of the hub's account."""

    name: str
    owner: str

    def add(self, key: str, body: str) -> None:
        """Write an object, which nobody can delete before its time. Raises botocore's errors, after three seconds."""
        impatient_hub_client("s3").put_object(
            Bucket=self.name,
            Key=key,
            Body=body.encode(),
            ContentType="application/json",
            ExpectedBucketOwner=self.owner,
        )
