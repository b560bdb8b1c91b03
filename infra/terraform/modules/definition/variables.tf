variable "name" {
  description = "Prefix of every name, in lower case."
  type        = string
  default     = "depth"
}

variable "job_definitions" {
  description = "By step: the ARN of the job definition, of module compile_job."
  type        = map(string)
}

variable "queues" {
  description = "By step: the ARN of its queue, of module compile_job."
  type        = map(string)
}

variable "cluster_arn" {
  description = "The cluster of the service, of module service."
  type        = string
}

variable "services" {
  description = "By chip: the ARN of the ECS service, of module service."
  type        = map(string)
}

variable "url" {
  description = "Address at which the load balancer answers with its certificate."
  type        = string
}

variable "store" {
  description = "s3://BUCKET/PREFIX, without a slash at its end."
  type        = string
}
