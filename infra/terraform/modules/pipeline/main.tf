# The state machine of module definition, its role and its log.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

module "definition" {
  source          = "../definition"
  name            = var.name
  job_definitions = var.job_definitions
  queues          = var.queues
  cluster_arn     = var.cluster_arn
  services        = var.services
  url             = var.url
  store           = var.store
}

resource "aws_cloudwatch_log_group" "pipeline" {
  name              = "/${var.name}/pipeline"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

data "aws_iam_policy_document" "states" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.states.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "pipeline" {
  name = "run"
  role = aws_iam_role.pipeline.id
  policy = templatefile("${path.module}/../../policies/run-pipeline.json", {
    job_arns     = jsonencode(distinct(concat(values(var.job_definitions), values(var.queues))))
    service_arns = jsonencode(values(var.services))
    cluster_arn  = var.cluster_arn
    region       = data.aws_region.current.name
    account      = data.aws_caller_identity.current.account_id
  })
}

resource "aws_sfn_state_machine" "pipeline" {
  name       = "${var.name}-pipeline"
  role_arn   = aws_iam_role.pipeline.arn
  definition = module.definition.json
  tags       = var.tags
  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.pipeline.arn}:*"
    include_execution_data = true
    level                  = "ALL"
  }
  tracing_configuration {
    enabled = true
  }
}
