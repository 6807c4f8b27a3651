"""Start the reconciliation of every team that a change of the registry concerns."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import logger, settings
from podshare.reconciliation.triggers import registry_changed

processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


def started(record: DynamoDBRecord) -> None:
    """Start what one record of the stream asks for."""
    teams = registry_changed(settings, record.raw_event)
    logger.info("registry changed", extra={"event": record.event_id, "teams": teams})


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """A batch of the registry's stream → the records that have to come again."""
    return process_partial_response(event, record_handler=started, processor=processor, context=context)
