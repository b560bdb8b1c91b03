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
  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  mock_resource "aws_autoscaling_group" {
    defaults = { arn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:mocked:autoScalingGroupName/mocked" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/mocked/0" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/mocked/0" }
  }
}

variables {
  bucket_arn          = "arn:aws:s3:::depth-artifacts"
  key_arn             = "arn:aws:kms:us-east-1:123456789012:key/k"
  repository          = { "url" : "123456789012.example/depth-serve-inf1", "arn" : "arn:aws:ecr:us-east-1:123456789012:repository/depth-serve-inf1" }
  image_tag           = "1"
  reference           = "vits/inf1/production"
  vpc_id              = "vpc-1"
  subnet_ids          = ["subnet-1", "subnet-2"]
  balancer_subnet_ids = ["subnet-3", "subnet-4"]
  client_cidrs        = ["10.0.0.0/8"]
  certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/c"
  metrics_image       = "cloudwatch-agent:1.300060.0"
  alarm_topic_arn     = "arn:aws:sns:us-east-1:123456789012:depth"
  monthly_budget_usd  = 500
  secret_arn          = "arn:aws:secretsmanager:us-east-1:123456789012:secret:depth"
}

run "applied" {
  assert {
    condition     = length(aws_ecs_service.serve) == 1
    error_message = "one chip, one service"
  }
  assert {
    condition     = aws_lb_target_group.service.health_check[0].path == "/readyz"
    error_message = "health is not readiness"
  }
  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS"
    error_message = "no TLS"
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.service.user_data), "aws-neuronx-dkms-2.24.*")
    error_message = "the driver is not pinned"
  }
}

run "a_service_for_each_chip" {
  variables {
    instance_type = "inf1.6xlarge"
  }
  assert {
    condition     = length(aws_ecs_service.serve) == 4
    error_message = "an inf1.6xlarge has four chips"
  }
}

run "no_driver_on_a_cpu" {
  variables {
    platform = "cpu"
  }
  assert {
    condition     = !strcontains(base64decode(aws_launch_template.service.user_data), "dkms")
    error_message = "a CPU needs no driver"
  }
}
