#!/usr/bin/env bash
# Take a stage down: `make destroy STAGE=...`. What people own stays: the events, the keys, the
# media and the audit bucket are retained by CloudFormation, and the tables refuse to be deleted.
set -euo pipefail
: "${STAGE:?say which stage: make destroy STAGE=dev}"
: "${AWS_REGION:?set AWS_REGION}"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION SAM_CLI_TELEMETRY=0
SAM=${SAM:-.venv-sam/bin/sam}
if [ "${YES:-}" != "$STAGE" ]; then
  printf 'This stops the stage %s and deletes its read models and queues. Type its name: ' "$STAGE"
  read -r answer
  [ "$answer" = "$STAGE" ] || { echo "Nothing was done."; exit 1; }
fi
for name in observability api workers network data access; do
  printf '\n==> stack splitsound-%s-%s\n' "$STAGE" "$name"
  "$SAM" delete --no-prompts --region "$AWS_REGION" --stack-name "splitsound-$STAGE-$name"
done
printf '\nKept: tables splitsound-%s-events and -keys, the media and audit buckets, the KMS keys.\n' "$STAGE"
