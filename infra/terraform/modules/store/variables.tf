variable "name" {
  description = "Prefix of every name, in lower case."
  type        = string
  default     = "depth"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name: 2 to 21 lower-case letters, digits and dashes, a letter first."
  }
}

variable "bucket" {
  description = "Name of the bucket that holds the artifacts."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 lower-case letters, digits and dashes; no dots, which TLS does not like."
  }
}

variable "images" {
  description = "A repository for each of these images."
  type        = set(string)
  default     = ["compile", "serve-inf1", "serve-cpu"]
  validation {
    condition     = length(var.images) > 0
    error_message = "images: at least one."
  }
}

variable "old_versions_days" {
  description = "Days for which a replaced alias or measurement is kept."
  type        = number
  default     = 90
  validation {
    condition     = var.old_versions_days >= 1 && var.old_versions_days <= 3650
    error_message = "old_versions_days: 1 to 3650."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
