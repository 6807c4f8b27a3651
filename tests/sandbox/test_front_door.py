"""The front door: what a client in another process sends arrives as if it had been sent to AWS."""

import hashlib
import io
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import boto3
import httpx
import pytest
import trustme
from botocore.config import Config
from botocore.exceptions import ProxyConnectionError
from moto import mock_aws

from podshare_sandbox.front_door import EndpointError, FrontDoor, Request, Response, real_request

ADDED = """
"""
