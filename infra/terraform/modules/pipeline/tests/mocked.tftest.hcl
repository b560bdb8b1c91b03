# Plan and apply with a mocked provider: needs the AWS provider itself, for its schema.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
}

variables {
  job_definitions = { "compile" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-compile", "parity" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-parity", "remember" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-remember", "promote" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-promote", "smoke" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-smoke", "rollback" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-rollback" }
  queues          = { "compile" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "parity" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "remember" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "promote" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "smoke" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "rollback" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile" }
  cluster_arn     = "arn:aws:ecs:us-east-1:123456789012:cluster/depth"
  services        = { "0" : "arn:aws:ecs:us-east-1:123456789012:service/depth/depth-0" }
  url             = "https://depth.example"
  store           = "s3://depth-artifacts/depth"
  key_arn         = "arn:aws:kms:us-east-1:123456789012:key/k"
}

run "applied" {
  assert {
    condition     = jsondecode(aws_sfn_state_machine.pipeline.definition).StartAt == "Begin"
    error_message = "no state machine"
  }
}
