# All modules together: a store, jobs, a service and the pipeline between them.
#   terraform -chdir=infra/terraform/stack apply -var-file=mine.tfvars

terraform {
  required_version = ">= 1.11, < 2"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  image = { inf1 = "serve-inf1", cpu = "serve-cpu" }[var.platform]
  alias = "${var.model}/${var.platform}"
}

module "store" {
  source = "../modules/store"
  name   = var.name
  bucket = var.bucket
}

module "compile_job" {
  source     = "../modules/compile_job"
  name       = var.name
  bucket_arn = module.store.bucket_arn
  key_arn    = module.store.key_arn
  repository = module.store.repositories["compile"]
  image_tag  = var.image_tag
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  secret_arn = var.secret_arn
}

module "service" {
  source              = "../modules/service"
  name                = var.name
  platform            = var.platform
  bucket_arn          = module.store.bucket_arn
  key_arn             = module.store.key_arn
  repository          = module.store.repositories[local.image]
  image_tag           = var.image_tag
  reference           = "${local.alias}/production"
  vpc_id              = var.vpc_id
  subnet_ids          = var.subnet_ids
  balancer_subnet_ids = var.balancer_subnet_ids
  client_cidrs        = var.client_cidrs
  certificate_arn     = var.certificate_arn
  metrics_image       = var.metrics_image
  alarm_topic_arn     = var.alarm_topic_arn
  monthly_budget_usd  = var.monthly_budget_usd
  secret_arn          = var.secret_arn
  spot                = var.spot
}

module "pipeline" {
  source          = "../modules/pipeline"
  name            = var.name
  job_definitions = module.compile_job.job_definitions
  queues          = module.compile_job.queues
  cluster_arn     = module.service.cluster_arn
  services        = module.service.services
  url             = var.url
  store           = "s3://${module.store.bucket}/depth"
  key_arn         = module.store.key_arn
}

output "quotas" {
  description = "What to ask AWS for first."
  value       = [module.compile_job.quota, module.service.quota]
}

output "state_machine_arn" {
  description = "Start a run with aws stepfunctions start-execution."
  value       = module.pipeline.state_machine_arn
}

output "repositories" {
  description = "Where to push the images."
  value       = module.store.repositories
}
