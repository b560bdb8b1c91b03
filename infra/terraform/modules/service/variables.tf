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
  description = "Address and ARN of the repository of the serving image, of module store."
  type        = object({ url = string, arn = string })
}

variable "image_tag" {
  description = "Tag of the serving image. Tags are immutable; latest is refused."
  type        = string
  validation {
    condition     = var.image_tag != "latest" && can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag))
    error_message = "image_tag: a fixed tag; latest would change under a running service."
  }
}

variable "platform" {
  description = "inf1; inf2 or cpu by this one word."
  type        = string
  default     = "inf1"
  validation {
    condition     = contains(["inf1", "inf2", "cpu"], var.platform)
    error_message = "platform: inf1, inf2 or cpu."
  }
}

variable "instance_type" {
  description = "The instance that serves. Null takes the smallest of the platform."
  type        = string
  default     = null
  validation {
    condition     = var.instance_type == null || try(jsondecode(file("${path.module}/../../instances.json"))[var.instance_type].platform, "") == var.platform
    error_message = "instance_type: an instance that has the chip of the platform; infra/terraform/instances.json lists them."
  }
}

variable "reference" {
  description = "Alias that the service pulls, such as vits/inf1/production. It must be of the platform."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+$", var.reference))
    error_message = "reference: an alias, such as vits/inf1/production."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets for the instances, in two zones or more."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: two or more, in different zones."
  }
}

variable "balancer_subnet_ids" {
  description = "Subnets of the load balancer, in two zones or more."
  type        = list(string)
  validation {
    condition     = length(var.balancer_subnet_ids) >= 2
    error_message = "balancer_subnet_ids: two or more, in different zones."
  }
}

variable "internal" {
  description = "Whether the load balancer has private addresses only."
  type        = bool
  default     = true
}

variable "client_cidrs" {
  description = "Networks that may call the service."
  type        = list(string)
  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0))])
    error_message = "client_cidrs: at least one network, such as 10.0.0.0/8."
  }
}

variable "certificate_arn" {
  description = "Certificate of ACM for the load balancer. Without TLS, tokens and images could be read on the way."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "certificate_arn: the ARN of a certificate of ACM."
  }
}

variable "min_instances" {
  description = "The fewest instances."
  type        = number
  default     = 2
  validation {
    condition     = var.min_instances >= 1
    error_message = "min_instances: 1 or more; 2 or more to survive the loss of a zone."
  }
}

variable "max_instances" {
  description = "The most instances. A deployment needs one above the ones that work."
  type        = number
  default     = 4
  validation {
    condition     = var.max_instances > var.min_instances && var.max_instances <= 100
    error_message = "max_instances: more than min_instances, and 100 at most."
  }
}

variable "spot" {
  description = "Whether instances above min_instances are spot. The spot quota of Inf instances is 0 by default."
  type        = bool
  default     = false
}

variable "queue_per_core" {
  description = "Requests that wait, per core, at which the service grows."
  type        = number
  default     = 1
  validation {
    condition     = var.queue_per_core > 0 && var.queue_per_core <= 16
    error_message = "queue_per_core: more than 0, 16 at most."
  }
}

variable "metrics_image" {
  description = "Image of the CloudWatch agent, with a fixed tag or digest: it reads /metrics of the service."
  type        = string
  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", var.metrics_image)) && !endswith(var.metrics_image, ":latest")
    error_message = "metrics_image: with a fixed tag or digest, not latest."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms and the budget write to."
  type        = string
}

variable "monthly_budget_usd" {
  description = "Dollars a month for everything with the tag service=NAME; at 80 % and 100 % the topic hears."
  type        = number
  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd: more than 0."
  }
}

variable "secret_arn" {
  description = "Secret of Secrets Manager with the token that requests must carry."
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
