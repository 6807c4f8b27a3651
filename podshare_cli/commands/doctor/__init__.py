"""``podshare doctor``: whether an environment is fit for podshare, read only, before and after a deployment."""
