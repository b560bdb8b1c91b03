# Plan and apply with a mocked provider: needs the AWS provider itself, for its schema.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  bucket_arn = "arn:aws:s3:::depth-artifacts"
  key_arn    = "arn:aws:kms:us-east-1:123456789012:key/k"
  repository = { "url" : "123456789012.example/depth-compile", "arn" : "arn:aws:ecr:us-east-1:123456789012:repository/depth-compile" }
  image_tag  = "1"
  subnet_ids = ["subnet-1"]
  vpc_id     = "vpc-1"
  secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:depth"
}

run "applied" {
  assert {
    condition     = jsondecode(aws_batch_job_definition.job["compile"].container_properties).readonlyRootFilesystem
    error_message = "the root can be written"
  }
  assert {
    condition     = length(jsondecode(aws_batch_job_definition.job["parity"].container_properties).linuxParameters.devices) == 1
    error_message = "parity has no chip"
  }
  assert {
    condition     = length(jsondecode(aws_batch_job_definition.job["compile"].container_properties).linuxParameters.devices) == 0
    error_message = "compiling needs no chip"
  }
}
