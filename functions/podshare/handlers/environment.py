"""What every function has in common: its settings, its logs and its metrics."""

from aws_lambda_powertools import Logger, Metrics

from podshare.aws.settings import Settings

settings = Settings.from_environment()
logger = Logger()
metrics = Metrics()
