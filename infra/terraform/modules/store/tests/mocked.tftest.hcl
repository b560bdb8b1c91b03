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
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/mocked" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::depth-artifacts" }
  }
}

variables {
  bucket = "depth-artifacts"
}

run "applied" {
  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.block_public_policy
    error_message = "the bucket is public"
  }
  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "no versions"
  }
  assert {
    condition     = aws_kms_key.store.enable_key_rotation
    error_message = "the key is not rotated"
  }
  assert {
    condition     = alltrue([for image in aws_ecr_repository.image : image.image_tag_mutability == "IMMUTABLE"])
    error_message = "tags can move"
  }
}
