# The roles. Their policies are files in infra/terraform/policies, which the tests read too.

locals {
  values = {
    bucket_arn     = var.bucket_arn
    prefix         = var.prefix
    key_arn        = var.key_arn
    region         = data.aws_region.current.name
    repository_arn = var.repository.arn
    log_group_arn  = aws_cloudwatch_log_group.jobs.arn
    secret_arn     = var.secret_arn
  }
}

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "ec2" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# What a job may do with the store: read it, push artifacts, or move aliases.
resource "aws_iam_role" "job" {
  for_each           = toset(["read", "push", "promote"])
  name               = "${var.name}-job-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "job" {
  for_each = aws_iam_role.job
  name     = "store"
  role     = each.value.id
  policy   = templatefile("${path.module}/../../policies/store-${each.key}.json", local.values)
}

resource "aws_iam_role" "start" {
  name               = "${var.name}-job-start"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "start" {
  for_each = toset(["start-containers", "read-token"])
  name     = each.key
  role     = aws_iam_role.start.id
  policy   = templatefile("${path.module}/../../policies/${each.key}.json", local.values)
}

resource "aws_iam_role" "instance" {
  name               = "${var.name}-job-instance"
  assume_role_policy = data.aws_iam_policy_document.ec2.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "instance" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "instance" {
  name = "${var.name}-job-instance"
  role = aws_iam_role.instance.name
  tags = var.tags
}
