variable "name" {
  description = "Prefix of every name, in lower case."
  type        = string
  default     = "depth"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name: 2 to 21 lower-case letters, digits and dashes, a letter first."
  }
}

variable "bucket_arn" {
  description = "ARN of the bucket, of module store."
  type        = string
}

variable "prefix" {
  description = "Folder of the artifacts in the bucket; ends with a slash."
  type        = string
  default     = "depth/"
  validation {
    condition     = can(regex("^([a-z0-9._-]+/)+$", var.prefix))
    error_message = "prefix: lower-case words that each end with a slash, such as depth/."
  }
}

variable "key_arn" {
  description = "ARN of the key, of module store."
  type        = string
}

variable "repository" {
  description = "Address and ARN of the repository of image compile, of module store."
  type        = object({ url = string, arn = string })
}

variable "image_tag" {
  description = "Tag of image compile. Tags are immutable; latest is refused."
  type        = string
  validation {
    condition     = var.image_tag != "latest" && can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag))
    error_message = "image_tag: a fixed tag; latest would change under a running job."
  }
}

variable "compile_instance_types" {
  description = "CPU instances that compile. neuron-cc ended for want of memory on 16 GB; AWS names c5.4xlarge."
  type        = list(string)
  default     = ["c5.4xlarge", "c6i.4xlarge", "m5.4xlarge", "m6i.4xlarge"]
  validation {
    condition = length(var.compile_instance_types) > 0 && alltrue([
      for type in var.compile_instance_types : can(regex("^(c5|c5d|c6i|m5|m5d|m6i|r5|r6i)\\.(4|8|9|12|16|18|24|32)xlarge$", type))
    ])
    error_message = "compile_instance_types: c5, c6i, m5, m6i, r5 or r6i of 4xlarge or more, which have 32 GiB or more."
  }
}

variable "device_instance_type" {
  description = "The instance that measures parity on the chip."
  type        = string
  default     = "inf1.xlarge"
  validation {
    condition     = can(regex("^inf[12]\\.", var.device_instance_type)) && contains(keys(jsondecode(file("${path.module}/../../instances.json"))), var.device_instance_type)
    error_message = "device_instance_type: an Inf1 or Inf2 instance, such as inf1.xlarge."
  }
}

variable "subnet_ids" {
  description = "Private subnets that reach S3, ECR and CloudWatch Logs."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids: at least one."
  }
}

variable "vpc_id" {
  description = "The VPC of these subnets."
  type        = string
}

variable "max_vcpus" {
  description = "The most vCPUs that compile at once."
  type        = number
  default     = 32
  validation {
    condition     = var.max_vcpus >= 16 && var.max_vcpus <= 256
    error_message = "max_vcpus: 16 to 256; a job takes 16."
  }
}

variable "timeout_s" {
  description = "A job ends after this long, in seconds."
  type        = number
  default     = 21600
  validation {
    condition     = var.timeout_s >= 600 && var.timeout_s <= 172800
    error_message = "timeout_s: 600 to 172800."
  }
}

variable "secret_arn" {
  description = "Secret with the token of the service, which the smoke test sends."
  type        = string
}

variable "log_days" {
  description = "Days for which logs are kept."
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
