# The service on ECS: a task for each chip, on instances of an auto-scaling group.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  table    = jsondecode(file("${path.module}/../../instances.json"))
  smallest = { inf1 = "inf1.xlarge", inf2 = "inf2.xlarge", cpu = "c7i.xlarge" }
  type     = coalesce(var.instance_type, local.smallest[var.platform])
  instance = local.table[local.type]
  chips    = toset([for chip in range(local.instance.chips) : tostring(chip)])
  cores    = local.instance.cores / local.instance.chips # of a task
  # What the ECS agent and the system take stays free.
  task_memory = floor((local.instance.memory_mib - 1024) / local.instance.chips) - 512
  task_cpu    = floor(local.instance.vcpus * 1024 / local.instance.chips) - 128
  tags        = merge(var.tags, { service = var.name })
  namespace   = "Depth/${var.name}"
  image       = var.platform == "cpu" ? "al2023" : "neuron"
  parameters = {
    al2023 = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    neuron = "/aws/service/ecs/optimized-ami/amazon-linux-2023/neuron/recommended/image_id"
  }
}

data "aws_ssm_parameter" "image" {
  name = local.parameters[local.image]
}

resource "aws_cloudwatch_log_group" "service" {
  name              = "/${var.name}/service"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
  tags              = local.tags
}

resource "aws_ecs_cluster" "service" {
  name = var.name
  tags = local.tags
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_launch_template" "service" {
  name_prefix   = "${var.name}-"
  image_id      = data.aws_ssm_parameter.image.insecure_value
  instance_type = local.type
  tags          = local.tags
  user_data = base64encode(join("\n", [
    templatefile("${path.module}/../../driver.sh.tftpl", { platform = var.platform }),
    "echo ECS_CLUSTER=${aws_ecs_cluster.service.name} >> /etc/ecs/ecs.config",
    "echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config",
    "",
  ]))
  vpc_security_group_ids = [aws_security_group.tasks.id]
  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 60
      volume_type = "gp3"
      encrypted   = true
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = var.name })
  }
}

resource "aws_autoscaling_group" "service" {
  name_prefix           = "${var.name}-"
  min_size              = var.min_instances
  max_size              = var.max_instances
  vpc_zone_identifier   = var.subnet_ids
  protect_from_scale_in = true # the capacity provider lifts it from empty instances
  capacity_rebalance    = var.spot
  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = var.min_instances
      on_demand_percentage_above_base_capacity = var.spot ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.service.id
        version            = aws_launch_template.service.latest_version
      }
    }
  }
  dynamic "tag" {
    for_each = merge(local.tags, { AmazonECSManaged = "true" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
  lifecycle {
    create_before_destroy = true
    ignore_changes        = [desired_capacity]
  }
}

resource "aws_ecs_capacity_provider" "service" {
  name = var.name
  tags = local.tags
  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.service.arn
    managed_draining               = "ENABLED"
    managed_termination_protection = "ENABLED"
    managed_scaling {
      status          = "ENABLED"
      target_capacity = 100
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "service" {
  cluster_name       = aws_ecs_cluster.service.name
  capacity_providers = [aws_ecs_capacity_provider.service.name]
}
