variable "region" {
  description = "Region with the chips; not every region has them."
  type        = string
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "depth"
}

variable "bucket" {
  description = "Name of the bucket for artifacts."
  type        = string
}

variable "platform" {
  description = "inf1 or cpu; for inf2, build a serving image with torch-neuronx first."
  type        = string
  default     = "inf1"
  validation {
    condition     = contains(["inf1", "cpu"], var.platform)
    error_message = "platform: inf1 or cpu. Module service knows inf2; its image needs torch-neuronx."
  }
}

variable "model" {
  description = "The model that the alias begins with."
  type        = string
  default     = "vits"
}

variable "image_tag" {
  description = "Tag of the images that you pushed."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way to S3, ECR and CloudWatch."
  type        = list(string)
}

variable "balancer_subnet_ids" {
  description = "Subnets of the load balancer."
  type        = list(string)
}

variable "client_cidrs" {
  description = "Networks that may call the service."
  type        = list(string)
}

variable "certificate_arn" {
  description = "Certificate of ACM."
  type        = string
}

variable "url" {
  description = "https:// and the name in that certificate."
  type        = string
}

variable "metrics_image" {
  description = "CloudWatch agent, with a fixed tag."
  type        = string
}

variable "alarm_topic_arn" {
  description = "SNS topic for alarms."
  type        = string
}

variable "monthly_budget_usd" {
  description = "Dollars a month."
  type        = number
}

variable "secret_arn" {
  description = "Secret with the service's token."
  type        = string
}

variable "spot" {
  description = "Spot instances above the fewest."
  type        = bool
  default     = false
}
