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
: "${CERTIFICATE:?give the ARN of a certificate for api.$DOMAIN: make deploy ... CERTIFICATE=arn}"
: "${AWS_REGION:?set AWS_REGION to the region to deploy to}"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION SAM_CLI_TELEMETRY=0
SAM=${SAM:-.venv-sam/bin/sam} SPLITSOUND=${SPLITSOUND:-.venv/bin/splitsound}
DOCKER=${DOCKER:-docker} GPU=${GPU:-off} SMALL=${SMALL:-false}
ask() { local what=$1; shift; .venv/bin/python -m "infra.stacks.$what" "$@"; }

# Load balancers and repositories of images take no - at the end and no two in a row.
[[ $STAGE =~ ^[a-z0-9]+(-[a-z0-9]+)*$ && ${#STAGE} -le 20 ]] \
  || fail "a stage is a short name of a-z, 0-9 and single - between them, not '$STAGE'"
[[ $GPU =~ ^(on|off)$ ]] || fail "GPU is on or off, not '$GPU'"
[[ $SMALL =~ ^(true|false)$ ]] || fail "SMALL is true or false, not '$SMALL'"
[ "$GPU$SMALL" != ontrue ] || fail "GPU workers stand in a stack of their own: SMALL=true has none"
command -v "$DOCKER" >/dev/null \
  || fail "docker is needed to build the images (or name another engine: DOCKER=podman)"
"$DOCKER" info >/dev/null 2>&1 || fail "$DOCKER does not answer: start it"
changes=$(git status --porcelain) || fail "this is no checkout of git; an image's tag is a commit"
[ -z "$changes" ] \
  || fail "there are changes that are not committed; the image's tag would lie. Commit them"
TAG=$(git rev-parse --short=12 HEAD)
ACCOUNT=$(ask account) \
  || fail "AWS does not say which account these credentials belong to; see the line above"
ask preflight "$STAGE" "$DOMAIN" "$CERTIFICATE" "$ACCOUNT" || fail "nothing was touched"
RESERVE=$(ask concurrency) || fail "AWS does not say how many functions may run; see the line above"
say "stage $STAGE in account $ACCOUNT, $AWS_REGION, version $TAG"

deploy() { # NAME TEMPLATE [PARAMETER=VALUE ...]
  local stack="splitsound-$STAGE-$1" template=$2 status each parameters=()
  shift 2
  say "stack $stack"
  status=$(ask stack "$stack")
  case $status in
    REVIEW_IN_PROGRESS) ;; # only planned, never made
    ROLLBACK_COMPLETE) # its creation failed and was taken back: there is nothing to update
      "$SAM" delete --no-prompts --region "$AWS_REGION" --stack-name "$stack" ;;
    *_IN_PROGRESS) fail "somebody else changes $stack ($status): run this again when it is over" ;;
    *_FAILED) fail "$stack is $status: CloudFormation's console says of what, and how to go on" ;;
  esac
  for each in "Stage=$STAGE" "$@"; do parameters+=("$(ask quoting "$each")"); done
  "$SAM" deploy --template-file "$template" --stack-name "$stack" \
    --resolve-s3 --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND \
    --no-confirm-changeset --no-fail-on-empty-changeset \
    --tags "stage=$STAGE" "application=splitsound" \
    --parameter-overrides "${parameters[@]}" \
    || fail "$stack was not deployed: the reason stands above, beside the first FAILED." \
      "It went back to what it was, and nothing after it was touched." \
      "Put the reason right and run the same command again; it goes on from here"
}

bucket=${MODELS:-}
bucket=${bucket#s3://}
deploy access infra/stacks/access.yaml "ModelsBucket=${bucket%%/*}"

say "functions"
"$SAM" build --build-in-source --template template.yaml --build-dir .aws-sam/build >/dev/null \
  || fail "the functions could not be built; the reason stands above"
data() { # PROTECTED
  deploy data .aws-sam/build/template.yaml "AllowedOrigins=https://$DOMAIN" \
    "ReserveSweeper=$RESERVE" "Protected=$1"
}
# What is created for the first time is protected only when all of it is there: a creation that
# fails is taken back, and protected tables would stay, in the way of the next attempt.
status=$(ask stack "splitsound-$STAGE-data")
case $status in '' | ROLLBACK_COMPLETE | REVIEW_IN_PROGRESS) data false ;; esac
data true
deploy network infra/stacks/network.yaml

say "images"
REGISTRY=$(ask registry "$ACCOUNT" "$DOCKER") \
  || fail "$DOCKER could not be signed in to the account's registry; the reason stands above"
# Statements about a build count as images of their own, of which a repository keeps twenty.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
build() { # TARGET REPOSITORY TAG [ARGUMENT ...]
  local target=$1 image="$REGISTRY/splitsound-$STAGE-$2:$3"
  shift 3
  # A tag is never moved: what is there already is this very commit.
  if "$DOCKER" manifest inspect "$image" >/dev/null 2>&1; then echo "$image is there"; return; fi
  # The tasks' platform, whatever this machine's is.
  "$DOCKER" build --platform linux/amd64 --file infra/images/Dockerfile --target "$target" \
    --tag "$image" "$@" . || fail "the image $target could not be built; the reason stands above"
  "$DOCKER" push "$image" || fail "$image could not be pushed; run the same command again"
}
build api api "$TAG"
build worker worker "$TAG" ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"}
if [ "$GPU" = on ]; then build worker-cuda worker "$TAG-cuda"; fi

if [ "$SMALL" = false ]; then
  deploy workers infra/stacks/workers.yaml "ImageTag=$TAG" "Gpu=$GPU" "Models=${MODELS:-}" \
    "ReplicateModels=${REPLICATE_MODELS:-}"
fi
deploy api infra/stacks/api.yaml "ImageTag=$TAG" "Domain=$DOMAIN" "CertificateArn=$CERTIFICATE" \
  "HostedZoneId=${ZONE:-}" "AdminEmails=${ADMIN_EMAILS_CSV:-}" "WorkerInTask=$SMALL" \
  "Models=${MODELS:-}" "ReplicateModels=${REPLICATE_MODELS:-}"
if [ "$SMALL" = false ]; then
  deploy observability infra/stacks/observability.yaml "AlarmEmail=${ALARM_EMAIL:-}" \
    "MonthlyBudget=${BUDGET:-100}"
fi

say "read models"
export SPLITSOUND_STAGE=$STAGE SPLITSOUND_ACCOUNT=$ACCOUNT
listed=$("$SPLITSOUND" projections list --json) \
  || fail "the read models could not be looked at; the reason stands above"
stale=$(.venv/bin/python -c \
  'import json, sys; print(*(p["name"] for p in json.load(sys.stdin) if p["needs_rebuild"]))' \
  <<<"$listed")
for name in $stale; do
  "$SPLITSOUND" projections rebuild "$name" --reason "deployment of $TAG" \
    || fail "$name could not be rebuilt; its rows are those of before, and still served"
done
[ -n "$stale" ] || echo "all are of this version's code"

say "smoke test"
if [ -z "${ZONE:-}" ]; then
  echo "api.$DOMAIN has to lead to $(ask stack "splitsound-$STAGE-api" LoadBalancerName) (CNAME)"
fi
"$SPLITSOUND" smoke "https://api.$DOMAIN" \
  || fail "all stacks are deployed, but https://api.$DOMAIN does not answer as it should." \
    "A name that is new takes minutes to be known; then: splitsound smoke https://api.$DOMAIN." \
    "What else can be wrong says: splitsound doctor --stage $STAGE --domain $DOMAIN"
say "https://api.$DOMAIN serves version $TAG"
