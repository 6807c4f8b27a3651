"""Start the reconciliation of every team that a change of the registry affects."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.history import WRITTEN, keep_versions
from podshare.reconcile.triggers import registry_changed

processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


def started(record: DynamoDBRecord) -> None:
    """Start what one record of the stream asks for."""
    teams = registry_changed(settings, record.raw_event)
    fields = {"event": record.event_id, "record": record.raw_event["dynamodb"]["Keys"]["id"]["S"]}
    logger.info("registry changed", extra={**fields, "teams": len(teams)})
    for team, execution in teams.items():
        logger.info("reconciliation started", extra={**fields, "team": team, "execution": execution})


@as_handler
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """A batch of the registry's stream → the records that have to come again."""
    response = process_partial_response(event, record_handler=started, processor=processor, context=context)
    # after all of the batch, so that no reconciliation waits for it
    again = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    done = [record for record in event["Records"] if record["dynamodb"]["SequenceNumber"] not in again]
    if (history := keep_versions(settings, done)) != WRITTEN:
        logger.warning("history", extra={"history": history, "records": len(done)})
    return response
