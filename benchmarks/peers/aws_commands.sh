#!/bin/sh
# The steps of AWS's post "Multi-account support for Amazon SageMaker HyperPod task governance", typed as `aws` commands:
#   sh aws_commands.sh onboard TEAM    (or: add TEAM, revoke TEAM)
# Profiles a, b1, b2, b3 and c, names and accounts come from the environment, as for boto3_script.py. What is there already
# is left as it is, as somebody does who types the commands again.
set -eu

team=$2
policies=arn:aws:eks::aws:cluster-access-policy
access=arn:aws:iam::$ACCOUNT_A:role/$team-access
data=arn:aws:iam::$ACCOUNT_A:role/$team-data
point=arn:aws:s3:$AWS_REGION:$ACCOUNT_C:accesspoint/$team

exists() { # run a command that may find its resource there already
  "$@" >/dev/null 2>"$TMPDIR/said" || grep -Eq 'AlreadyExists|ResourceInUse|Conflict|AlreadyOwnedByYou' "$TMPDIR/said" || {
    cat "$TMPDIR/said" >&2
    exit 1
  }
}

policy() { # a policy of the statements given
  printf '{"Version": "2012-10-17", "Statement": [%s]}' "$1"
}

role() { # profile, name, trust, policy
  exists aws iam create-role --profile "$1" --role-name "$2" --assume-role-policy-document "$3"
  aws iam put-role-policy --profile "$1" --role-name "$2" --policy-name access --policy-document "$4"
}

scientist() { # profile, account
  role "$1" "$team-scientist" \
    "$(policy '{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::'"$2"':root"}}')" \
    "$(policy '{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "'"$access"'"}')"
}

trust_of() { # accounts
  principals=
  for account in "$@"; do
    principals="$principals${principals:+, }\"arn:aws:iam::$account:role/$team-scientist\""
  done
  policy '{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ['"$principals"']}}'
}

onboard() {
  exists aws sagemaker create-compute-quota --profile a --name "$team" --cluster-arn "$HYPERPOD_ARN" \
    --compute-quota-config '{"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "VCpu": 1.0}]}' \
    --compute-quota-target '{"TeamName": "'"$team"'"}'
  until aws sagemaker list-compute-quotas --profile a --cluster-arn "$HYPERPOD_ARN" --name-contains "$team" \
    --query "ComputeQuotaSummaries[?Name=='$team'].Status" --output text | grep -q '^Created$'; do
    sleep "$POLL_SECONDS"
  done
  scientist b1 "$ACCOUNT_B1"
  scientist b2 "$ACCOUNT_B2"
  role a "$team-access" "$(trust_of "$ACCOUNT_B1" "$ACCOUNT_B2")" \
    "$(policy '{"Effect": "Allow", "Action": ["eks:DescribeCluster", "sagemaker:DescribeCluster"], "Resource": "*"}')"
  exists aws eks create-access-entry --profile a --cluster-name "$EKS_CLUSTER" --principal-arn "$access"
  aws eks associate-access-policy --profile a --cluster-name "$EKS_CLUSTER" --principal-arn "$access" \
    --policy-arn $policies/AmazonSagemakerHyperpodTrainingPolicy \
    --access-scope "type=namespace,namespaces=hyperpod-ns-$team" >/dev/null
  aws eks associate-access-policy --profile a --cluster-name "$EKS_CLUSTER" --principal-arn "$access" \
    --policy-arn $policies/AmazonSagemakerHyperpodUserClusterPolicy --access-scope type=cluster >/dev/null
  role a "$team-data" \
    "$(policy '{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"Service": "pods.eks.amazonaws.com"}}')" \
    "$(policy '{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["'"$point"'", "'"$point"'/object/*"]}')"
  exists aws eks create-pod-identity-association --profile a --cluster-name "$EKS_CLUSTER" \
    --namespace "hyperpod-ns-$team" --service-account trainer --role-arn "$data"
  exists aws s3control create-access-point --profile c --account-id "$ACCOUNT_C" --name "$team" --bucket "$BUCKET"
  aws s3control put-access-point-policy --profile c --account-id "$ACCOUNT_C" --name "$team" --policy "$(policy \
    '{"Effect": "Allow", "Principal": {"AWS": "'"$data"'"}, "Action": "s3:ListBucket", "Resource": "'"$point"'"},
     {"Effect": "Allow", "Principal": {"AWS": "'"$data"'"}, "Action": "s3:GetObject", "Resource": "'"$point"'/object/*"}')"
  # whoever types this merges the delegation into what the bucket's policy says already
  aws s3api get-bucket-policy --profile c --bucket "$BUCKET" --query Policy --output text >"$TMPDIR/policy"
  aws s3api put-bucket-policy --profile c --bucket "$BUCKET" --policy "$BUCKET_POLICY"
}

add() {
  scientist b3 "$ACCOUNT_B3"
  aws iam update-assume-role-policy --profile a --role-name "$team-access" \
    --policy-document "$(trust_of "$ACCOUNT_B1" "$ACCOUNT_B2" "$ACCOUNT_B3")"
}

revoke() {
  aws eks delete-access-entry --profile a --cluster-name "$EKS_CLUSTER" --principal-arn "$access"
  aws s3control delete-access-point-policy --profile c --account-id "$ACCOUNT_C" --name "$team"
  aws s3control delete-access-point --profile c --account-id "$ACCOUNT_C" --name "$team"
  association=$(aws eks list-pod-identity-associations --profile a --cluster-name "$EKS_CLUSTER" \
    --namespace "hyperpod-ns-$team" --query 'associations[0].associationId' --output text)
  aws eks delete-pod-identity-association --profile a --cluster-name "$EKS_CLUSTER" \
    --association-id "$association" >/dev/null
  for one in a:$team-access a:$team-data b1:$team-scientist b2:$team-scientist b3:$team-scientist; do
    aws iam delete-role-policy --profile "${one%%:*}" --role-name "${one#*:}" --policy-name access
    aws iam delete-role --profile "${one%%:*}" --role-name "${one#*:}"
  done
  quota=$(aws sagemaker list-compute-quotas --profile a --cluster-arn "$HYPERPOD_ARN" --name-contains "$team" \
    --query "ComputeQuotaSummaries[?Name=='$team'].ComputeQuotaId" --output text)
  aws sagemaker delete-compute-quota --profile a --compute-quota-id "$quota"
}

"$1"
