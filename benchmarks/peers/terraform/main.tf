# The steps of AWS's post "Multi-account support for Amazon SageMaker HyperPod task governance" for Terraform. The AWS
# provider has no resource for compute quotas (5.100; the pull request for one is open), so that these are left out.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "teams" { type = set(string) }
variable "third_member" { type = bool }
variable "accounts" { type = map(string) }
variable "region" { type = string }
variable "cluster" { type = string }
variable "bucket" { type = string }
variable "bucket_policy" { type = string }

provider "aws" {
  alias   = "a"
  profile = "a"
  region  = var.region
}
provider "aws" {
  alias   = "b1"
  profile = "b1"
  region  = var.region
}
provider "aws" {
  alias   = "b2"
  profile = "b2"
  region  = var.region
}
provider "aws" {
  alias   = "b3"
  profile = "b3"
  region  = var.region
}
provider "aws" {
  alias   = "c"
  profile = "c"
  region  = var.region
}

locals {
  members  = concat(["b1", "b2"], var.third_member ? ["b3"] : [])
  policies = "arn:aws:eks::aws:cluster-access-policy"
  trust    = { for name in ["b1", "b2", "b3"] : name => jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = "arn:aws:iam::${var.accounts[name]}:root" } }] }) }
  assume   = { for team in var.teams : team => jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Resource = "arn:aws:iam::${var.accounts["a"]}:role/${team}-access" }] }) }
  points   = { for team in var.teams : team => "arn:aws:s3:${var.region}:${var.accounts["c"]}:accesspoint/${team}" }
}

resource "aws_iam_role" "b1" {
  provider           = aws.b1
  for_each           = var.teams
  name               = "${each.key}-scientist"
  assume_role_policy = local.trust["b1"]
}
resource "aws_iam_role_policy" "b1" {
  provider = aws.b1
  for_each = var.teams
  role     = aws_iam_role.b1[each.key].name
  policy   = local.assume[each.key]
}
resource "aws_iam_role" "b2" {
  provider           = aws.b2
  for_each           = var.teams
  name               = "${each.key}-scientist"
  assume_role_policy = local.trust["b2"]
}
resource "aws_iam_role_policy" "b2" {
  provider = aws.b2
  for_each = var.teams
  role     = aws_iam_role.b2[each.key].name
  policy   = local.assume[each.key]
}
resource "aws_iam_role" "b3" {
  provider           = aws.b3
  for_each           = var.third_member ? var.teams : []
  name               = "${each.key}-scientist"
  assume_role_policy = local.trust["b3"]
}
resource "aws_iam_role_policy" "b3" {
  provider = aws.b3
  for_each = var.third_member ? var.teams : []
  role     = aws_iam_role.b3[each.key].name
  policy   = local.assume[each.key]
}

resource "aws_iam_role" "access" {
  provider           = aws.a
  for_each           = var.teams
  name               = "${each.key}-access"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = [for name in local.members : "arn:aws:iam::${var.accounts[name]}:role/${each.key}-scientist"] } }] })
  depends_on         = [aws_iam_role.b1, aws_iam_role.b2, aws_iam_role.b3]
}
resource "aws_iam_role_policy" "access" {
  provider = aws.a
  for_each = var.teams
  role     = aws_iam_role.access[each.key].name
  policy   = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["eks:DescribeCluster", "sagemaker:DescribeCluster"], Resource = "*" }] })
}
resource "aws_eks_access_entry" "access" {
  provider      = aws.a
  for_each      = var.teams
  cluster_name  = var.cluster
  principal_arn = aws_iam_role.access[each.key].arn
}
resource "aws_eks_access_policy_association" "training" {
  provider      = aws.a
  for_each      = var.teams
  cluster_name  = var.cluster
  principal_arn = aws_eks_access_entry.access[each.key].principal_arn
  policy_arn    = "${local.policies}/AmazonSagemakerHyperpodTrainingPolicy"
  access_scope {
    type       = "namespace"
    namespaces = ["hyperpod-ns-${each.key}"]
  }
}
resource "aws_eks_access_policy_association" "cluster" {
  provider      = aws.a
  for_each      = var.teams
  cluster_name  = var.cluster
  principal_arn = aws_eks_access_entry.access[each.key].principal_arn
  policy_arn    = "${local.policies}/AmazonSagemakerHyperpodUserClusterPolicy"
  access_scope { type = "cluster" }
}

resource "aws_iam_role" "data" {
  provider           = aws.a
  for_each           = var.teams
  name               = "${each.key}-data"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["sts:AssumeRole", "sts:TagSession"], Principal = { Service = "pods.eks.amazonaws.com" } }] })
}
resource "aws_iam_role_policy" "data" {
  provider = aws.a
  for_each = var.teams
  role     = aws_iam_role.data[each.key].name
  policy   = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["s3:ListBucket", "s3:GetObject"], Resource = [local.points[each.key], "${local.points[each.key]}/object/*"] }] })
}
resource "aws_eks_pod_identity_association" "data" {
  provider        = aws.a
  for_each        = var.teams
  cluster_name    = var.cluster
  namespace       = "hyperpod-ns-${each.key}"
  service_account = "trainer"
  role_arn        = aws_iam_role.data[each.key].arn
}

resource "aws_s3_access_point" "data" {
  provider = aws.c
  for_each = var.teams
  name     = each.key
  bucket   = var.bucket
  lifecycle { ignore_changes = [policy] }
}
resource "aws_s3control_access_point_policy" "data" {
  provider         = aws.c
  for_each         = var.teams
  access_point_arn = aws_s3_access_point.data[each.key].arn
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Principal = { AWS = aws_iam_role.data[each.key].arn }, Action = "s3:ListBucket", Resource = local.points[each.key] },
    { Effect = "Allow", Principal = { AWS = aws_iam_role.data[each.key].arn }, Action = "s3:GetObject", Resource = "${local.points[each.key]}/object/*" },
  ] })
}
resource "aws_s3_bucket_policy" "delegation" {
  provider = aws.c
  bucket   = var.bucket
  policy   = var.bucket_policy
}
