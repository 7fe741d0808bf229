#!/usr/bin/env bash
# Bring a stage to what this checkout says: `make deploy STAGE=... DOMAIN=... CERTIFICATE=...`.
#
# The stacks one by one, in the order in which they need each other; a stack that fails goes back to
# what it was, and nothing after it is touched. Running it again goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

: "${STAGE:?say which stage: make deploy STAGE=prod DOMAIN=example.com CERTIFICATE=arn:aws:acm:...}"
: "${DOMAIN:?say which domain: make deploy STAGE=$STAGE DOMAIN=example.com ...}"
: "${CERTIFICATE:?give the ARN of a certificate for api.$DOMAIN: make deploy ... CERTIFICATE=arn:...}"
: "${AWS_REGION:?set AWS_REGION to the region to deploy to}"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION SAM_CLI_TELEMETRY=0
SAM=${SAM:-.venv-sam/bin/sam} PYTHON=${PYTHON:-.venv/bin/python} DOCKER=${DOCKER:-docker}
GPU=${GPU:-off} SMALL=${SMALL:-false} ALARM_EMAIL=${ALARM_EMAIL:-} ADMIN_EMAILS_CSV=${ADMIN_EMAILS_CSV:-}

[[ $STAGE =~ ^[a-z0-9][a-z0-9-]{0,19}$ ]] || fail "a stage is a short name of a-z, 0-9 and -, not '$STAGE'"
command -v "$DOCKER" >/dev/null || fail "docker is needed to build the images (or name another engine: DOCKER=podman)"
[ -z "$(git status --porcelain 2>/dev/null)" ] || fail "there are changes that are not committed; the image's tag would lie. Commit or stash them"
TAG=$(git rev-parse --short=12 HEAD)
ACCOUNT=$("$PYTHON" -m infra.stacks.account) || fail "AWS does not say which account these credentials belong to; see the line above"
say "stage $STAGE in account $ACCOUNT, $AWS_REGION, version $TAG"

deploy() { # NAME TEMPLATE [PARAMETER=VALUE ...]
  local name=$1 template=$2
  shift 2
  say "stack splitsound-$STAGE-$name"
  "$SAM" deploy --template-file "$template" --stack-name "splitsound-$STAGE-$name" \
    --resolve-s3 --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND \
    --no-confirm-changeset --no-fail-on-empty-changeset \
    --tags "stage=$STAGE" "application=splitsound" \
    --parameter-overrides "Stage=$STAGE" "$@"
}

bucket=${MODELS:-}
bucket=${bucket#s3://}
deploy access infra/stacks/access.yaml "ModelsBucket=${bucket%%/*}"

say "functions"
"$SAM" build --build-in-source --template template.yaml --build-dir .aws-sam/build >/dev/null
deploy data .aws-sam/build/template.yaml "AllowedOrigins=https://$DOMAIN"
deploy network infra/stacks/network.yaml

say "images"
REGISTRY=$("$PYTHON" -m infra.stacks.registry "$ACCOUNT" "$DOCKER")
build() { # TARGET REPOSITORY TAG [ARGUMENT ...]
  local target=$1 image="$REGISTRY/splitsound-$STAGE-$2:$3"
  shift 3
  # A tag is never moved: what is there already is this very commit.
  if "$DOCKER" manifest inspect "$image" >/dev/null 2>&1; then echo "$image is there"; return; fi
  "$DOCKER" build --file infra/images/Dockerfile --target "$target" --tag "$image" "$@" .
  "$DOCKER" push "$image"
}
build api api "$TAG"
build worker worker "$TAG" ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"}
if [ "$GPU" = on ]; then build worker-cuda worker "$TAG-cuda"; fi

if [ "$SMALL" = false ]; then
  deploy workers infra/stacks/workers.yaml "ImageTag=$TAG" "Gpu=$GPU" "Models=${MODELS:-}" \
    "ReplicateModels=${REPLICATE_MODELS:-}"
fi
deploy api infra/stacks/api.yaml "ImageTag=$TAG" "Domain=$DOMAIN" "CertificateArn=$CERTIFICATE" \
  "HostedZoneId=${ZONE:-}" "AdminEmails=$ADMIN_EMAILS_CSV" "WorkerInTask=$SMALL" \
  "Models=${MODELS:-}" "ReplicateModels=${REPLICATE_MODELS:-}"
if [ "$SMALL" = false ]; then
  deploy observability infra/stacks/observability.yaml "AlarmEmail=$ALARM_EMAIL" \
    "MonthlyBudget=${BUDGET:-100}"
fi

say "read models"
export SPLITSOUND_STAGE=$STAGE SPLITSOUND_ACCOUNT=$ACCOUNT
stale=$(.venv/bin/splitsound projections list --json \
  | "$PYTHON" -c 'import json, sys; print(*(p["name"] for p in json.load(sys.stdin) if p["needs_rebuild"]))')
for name in $stale; do
  .venv/bin/splitsound projections rebuild "$name" --reason "deployment of $TAG"
done
[ -n "$stale" ] || echo "all are of this version's code"

say "smoke test"
.venv/bin/splitsound smoke "https://api.$DOMAIN"
say "https://api.$DOMAIN serves version $TAG"
