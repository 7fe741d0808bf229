#!/usr/bin/env bash
# Take a stage down: `make destroy STAGE=...`. What people own stays: the events, the keys, the
# media, the audit bucket and the secrets are retained by CloudFormation, and the tables refuse to
# be deleted.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf 'destroy: %s\n' "$*" >&2; exit 1; }

: "${STAGE:?say which stage: make destroy STAGE=dev}"
: "${AWS_REGION:?set AWS_REGION}"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION SAM_CLI_TELEMETRY=0
SAM=${SAM:-.venv-sam/bin/sam}
ask() { local what=$1; shift; .venv/bin/python -m "infra.stacks.$what" "$@"; }

ACCOUNT=$(ask account) \
  || fail "AWS does not say which account these credentials belong to; see the line above"
if [ "${YES:-}" != "$STAGE" ]; then
  echo "This stops the stage $STAGE in account $ACCOUNT, $AWS_REGION,"
  printf 'and deletes its read models, queues and images. Type its name: '
  read -r answer || true
  [ "$answer" = "$STAGE" ] || { echo "Nothing was done."; exit 1; }
fi
for name in observability api workers network data access; do
  stack="splitsound-$STAGE-$name"
  status=$(ask stack "$stack")
  if [ -z "$status" ]; then printf '\n==> no stack %s\n' "$stack"; continue; fi
  printf '\n==> stack %s\n' "$stack"
  "$SAM" delete --no-prompts --region "$AWS_REGION" --stack-name "$stack" \
    || fail "$stack was not deleted: CloudFormation's console says what is in the way." \
      "What it needs still stands; put that right and run the same command again"
done
cat <<END

Kept: tables splitsound-$STAGE-events and -keys, the media and audit buckets, the KMS keys and the
secret splitsound/$STAGE/secrets. While they are there, no new stage takes that name.
END
