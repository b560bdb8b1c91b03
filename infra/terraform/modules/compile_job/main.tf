# Two queues: ordinary CPU instances that compile, and one instance with the chip that measures parity.

data "aws_region" "current" {}

locals {
  # By step of infra/pipeline/steps.json: where a job runs. The file says what a job may do with the store.
  jobs = {
    compile  = { queue = "compile", vcpus = 16, memory_mib = 28672 }
    parity   = { queue = "device", vcpus = 4, memory_mib = 6144 }
    remember = { queue = "compile", vcpus = 1, memory_mib = 2048 }
    promote  = { queue = "compile", vcpus = 1, memory_mib = 2048 }
    smoke    = { queue = "compile", vcpus = 1, memory_mib = 2048 }
    rollback = { queue = "compile", vcpus = 1, memory_mib = 2048 }
  }
  steps = jsondecode(file("${path.module}/../../../pipeline/steps.json")).steps
  # The table of instances is the one place that knows the chip.
  platform = jsondecode(file("${path.module}/../../instances.json"))[var.device_instance_type].platform
}

resource "aws_cloudwatch_log_group" "jobs" {
  name              = "/${var.name}/jobs"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_security_group" "jobs" {
  name_prefix = "${var.name}-jobs-"
  description = "Jobs: nothing comes in; HTTPS goes out."
  vpc_id      = var.vpc_id
  tags        = var.tags
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.jobs.id
  description       = "S3, ECR, logs, weights"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_launch_template" "jobs" {
  for_each    = toset(["compile", "device"])
  name_prefix = "${var.name}-${each.key}-"
  user_data   = each.key == "device" ? base64encode(local.boot) : null
  tags        = var.tags
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 100
      volume_type = "gp3"
      encrypted   = true
    }
  }
}

locals {
  # AWS Batch takes user data in MIME parts only.
  boot = <<-MIME
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="==BOUNDARY=="

    --==BOUNDARY==
    Content-Type: text/x-shellscript; charset="us-ascii"

    ${indent(4, templatefile("${path.module}/../../driver.sh.tftpl", { platform = local.platform }))}
    --==BOUNDARY==--
  MIME
}

data "aws_ssm_parameter" "image" {
  for_each = {
    compile = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    device  = "/aws/service/ecs/optimized-ami/amazon-linux-2023/neuron/recommended/image_id"
  }
  name = each.value
}

resource "aws_batch_compute_environment" "jobs" {
  for_each = {
    compile = { types = var.compile_instance_types, max_vcpus = var.max_vcpus }
    device  = { types = [var.device_instance_type], max_vcpus = local.instance.vcpus }
  }
  compute_environment_name_prefix = "${var.name}-${each.key}-"
  type                            = "MANAGED"
  state                           = "ENABLED"
  tags                            = var.tags
  compute_resources {
    type                = "EC2"
    allocation_strategy = "BEST_FIT_PROGRESSIVE"
    instance_role       = aws_iam_instance_profile.instance.arn
    instance_type       = each.value.types
    min_vcpus           = 0
    max_vcpus           = each.value.max_vcpus
    subnets             = var.subnet_ids
    security_group_ids  = [aws_security_group.jobs.id]
    tags                = merge(var.tags, { Name = "${var.name}-${each.key}" })
    ec2_configuration {
      image_type        = "ECS_AL2023"
      image_id_override = data.aws_ssm_parameter.image[each.key].insecure_value
    }
    launch_template {
      launch_template_id = aws_launch_template.jobs[each.key].id
      version            = aws_launch_template.jobs[each.key].latest_version
    }
  }
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  instance = jsondecode(file("${path.module}/../../instances.json"))[var.device_instance_type]
}

resource "aws_batch_job_queue" "jobs" {
  for_each = aws_batch_compute_environment.jobs
  name     = "${var.name}-${each.key}"
  state    = "ENABLED"
  priority = 1
  tags     = var.tags
  compute_environment_order {
    order               = 1
    compute_environment = each.value.arn
  }
}

resource "aws_batch_job_definition" "job" {
  # checkov:skip=CKV_AWS_210: privileged is not set, so it is false
  for_each              = local.jobs
  name                  = "${var.name}-${each.key}"
  type                  = "container"
  platform_capabilities = ["EC2"]
  propagate_tags        = true
  tags                  = var.tags
  timeout {
    attempt_duration_seconds = var.timeout_s
  }
  # Another try only if the instance went away.
  retry_strategy {
    attempts = 2
    evaluate_on_exit {
      on_status_reason = "Host EC2*"
      action           = "RETRY"
    }
    evaluate_on_exit {
      on_reason = "*"
      action    = "EXIT"
    }
  }
  container_properties = jsonencode({
    image            = "${var.repository.url}:${var.image_tag}"
    command          = ["/bin/sh", "-euc", join("\n", local.steps[each.key].commands)]
    jobRoleArn       = aws_iam_role.job[local.steps[each.key].role].arn
    executionRoleArn = aws_iam_role.start.arn
    user             = "10001:10001"
    # The root is read-only: work goes to the instance's disk, and away with the container.
    readonlyRootFilesystem = true
    privileged             = false
    resourceRequirements = [
      { type = "VCPU", value = tostring(each.value.vcpus) },
      { type = "MEMORY", value = tostring(each.value.memory_mib) },
    ]
    # Volumes of the instance's disk, whose owner is as in the image.
    volumes     = [{ name = "work", host = {} }, { name = "tmp", host = {} }]
    mountPoints = [{ sourceVolume = "work", containerPath = "/work" }, { sourceVolume = "tmp", containerPath = "/tmp" }]
    secrets     = each.key == "smoke" ? [{ name = "DEPTH_TOKEN", valueFrom = var.secret_arn }] : []
    linuxParameters = {
      initProcessEnabled = true
      devices            = each.value.queue == "device" ? [{ hostPath = "/dev/neuron0", containerPath = "/dev/neuron0", permissions = ["READ", "WRITE"] }] : []
    }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = aws_cloudwatch_log_group.jobs.name, "awslogs-stream-prefix" = each.key }
    }
  })
}
