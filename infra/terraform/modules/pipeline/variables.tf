variable "name" {
  description = "Prefix of every name, in lower case."
  type        = string
  default     = "depth"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name: 2 to 21 lower-case letters, digits and dashes, a letter first."
  }
}

variable "job_definitions" {
  description = "By step: the ARN of the job definition, of module compile_job."
  type        = map(string)
  validation {
    condition     = length(setsubtract(["compile", "parity", "remember", "promote", "smoke", "rollback"], keys(var.job_definitions))) == 0
    error_message = "job_definitions: one for each of compile, parity, remember, promote, smoke and rollback."
  }
}

variable "queues" {
  description = "By step: the ARN of its queue, of module compile_job."
  type        = map(string)
  validation {
    condition     = length(setsubtract(["compile", "parity", "remember", "promote", "smoke", "rollback"], keys(var.queues))) == 0
    error_message = "queues: one for each of compile, parity, remember, promote, smoke and rollback."
  }
}

variable "cluster_arn" {
  description = "The cluster of the service, of module service."
  type        = string
}

variable "services" {
  description = "By chip: the ARN of the ECS service, of module service."
  type        = map(string)
  validation {
    condition     = length(var.services) > 0
    error_message = "services: at least one."
  }
}

variable "url" {
  description = "Address at which the load balancer answers with its certificate."
  type        = string
  validation {
    condition     = startswith(var.url, "https://")
    error_message = "url: https://..."
  }
}

variable "store" {
  description = "s3://BUCKET/PREFIX, without a slash at its end."
  type        = string
  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9-]+(/[a-z0-9._-]+)*$", var.store))
    error_message = "store: s3://BUCKET/PREFIX, without a slash at its end."
  }
}

variable "key_arn" {
  description = "Key that encrypts the log, of module store."
  type        = string
}

variable "log_days" {
  description = "Days for which the log is kept."
  type        = number
  default     = 365
  validation {
    condition     = contains([365, 400, 545, 731, 1096, 1827], var.log_days)
    error_message = "log_days: a year or more, of the values of CloudWatch Logs: 365, 400, 545, 731, 1096 or 1827."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
