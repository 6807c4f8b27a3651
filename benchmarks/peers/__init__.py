"""What a person would run instead of podshare, written as AWS's own post describes the steps."""
