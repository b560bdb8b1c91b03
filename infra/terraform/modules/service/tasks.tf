# A task definition and an ECS service for each chip of an instance: a container maps its own /dev/neuronN.

locals {
  # The agent reads /metrics and writes the queue to CloudWatch.
  agent = jsonencode({
    logs = { metrics_collected = { prometheus = {
      cluster_name           = var.name
      log_group_name         = aws_cloudwatch_log_group.service.name
      prometheus_config_path = "env:PROMETHEUS_CONFIG_CONTENT"
      emf_processor = {
        metric_namespace = local.namespace
        metric_declaration = [{
          source_labels    = ["job"]
          label_matcher    = "^depth$"
          dimensions       = [["service"]]
          metric_selectors = ["^depth_queue_depth$", "^depth_cores_in_service$", "^depth_errors_total$"]
        }]
      }
    } } }
  })
  scrape = yamlencode({
    scrape_configs = [{
      job_name        = "depth"
      scrape_interval = "15s"
      authorization   = { credentials_file = "/run/depth/token" }
      static_configs  = [{ targets = ["127.0.0.1:8000"], labels = { service = var.name } }]
    }]
  })
}

resource "aws_ecs_task_definition" "serve" {
  for_each                 = local.chips
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.start.arn
  tags                     = local.tags
  volume {
    name = "artifact"
  }
  volume {
    name = "tmp"
  }
  volume {
    name = "token"
  }
  container_definitions = jsonencode([
    {
      name                   = "serve"
      image                  = "${var.repository.url}:${var.image_tag}"
      essential              = true
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      privileged             = false
      cpu                    = local.task_cpu
      memory                 = local.task_memory
      stopTimeout            = 110 # longer than the service drains
      portMappings           = [{ containerPort = 8000, protocol = "tcp" }]
      environment = concat(
        [
          { name = "DEPTH_STORE", value = "s3://${element(split(":", var.bucket_arn), 5)}/${trimsuffix(var.prefix, "/")}" },
          { name = "DEPTH_REFERENCE", value = var.reference },
        ],
        var.platform == "cpu" ? [] : [{ name = "NEURON_RT_NUM_CORES", value = tostring(local.cores) }],
      )
      secrets = [{ name = "DEPTH_TOKEN", valueFrom = var.secret_arn }]
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
        interval    = 15
        timeout     = 5
        retries     = 3
        startPeriod = 300
      }
      mountPoints = [
        { sourceVolume = "artifact", containerPath = "/var/lib/depth" },
        { sourceVolume = "tmp", containerPath = "/tmp" },
      ]
      linuxParameters = {
        initProcessEnabled = true
        capabilities       = { drop = ["ALL"] }
        devices            = var.platform == "cpu" ? [] : [{ hostPath = "/dev/neuron${each.key}", containerPath = "/dev/neuron${each.key}", permissions = ["read", "write"] }]
      }
      logConfiguration = {
        logDriver = "awslogs"
        options   = { "awslogs-group" = aws_cloudwatch_log_group.service.name, "awslogs-region" = data.aws_region.current.name, "awslogs-stream-prefix" = "serve" }
      }
    },
    # The agent takes the token from a file only.
    {
      name                   = "token"
      image                  = "${var.repository.url}:${var.image_tag}"
      essential              = false
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      cpu                    = 16
      memory                 = 64
      entryPoint             = ["/bin/sh", "-euc"]
      command                = ["umask 077; printf %s \"$DEPTH_TOKEN\" > /run/depth/token"]
      secrets                = [{ name = "DEPTH_TOKEN", valueFrom = var.secret_arn }]
      mountPoints            = [{ sourceVolume = "token", containerPath = "/run/depth" }]
    },
    {
      name        = "metrics"
      image       = var.metrics_image
      essential   = false
      dependsOn   = [{ containerName = "token", condition = "SUCCESS" }]
      mountPoints = [{ sourceVolume = "token", containerPath = "/run/depth", readOnly = true }]
      cpu         = 64
      memory      = 256
      environment = [{ name = "CW_CONFIG_CONTENT", value = local.agent }, { name = "PROMETHEUS_CONFIG_CONTENT", value = local.scrape }]
      logConfiguration = {
        logDriver = "awslogs"
        options   = { "awslogs-group" = aws_cloudwatch_log_group.service.name, "awslogs-region" = data.aws_region.current.name, "awslogs-stream-prefix" = "metrics" }
      }
    },
  ])
}

resource "aws_ecs_service" "serve" {
  for_each                           = local.chips
  name                               = "${var.name}-${each.key}"
  cluster                            = aws_ecs_cluster.service.id
  task_definition                    = aws_ecs_task_definition.serve[each.key].arn
  desired_count                      = var.min_instances
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 150
  health_check_grace_period_seconds  = 1200 # the pull and the warm-up of every core
  propagate_tags                     = "SERVICE"
  tags                               = local.tags
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.service.name
    weight            = 1
  }
  # A chip has one task: two tasks of a service never share an instance.
  placement_constraints {
    type = "distinctInstance"
  }
  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.tasks.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.service.arn
    container_name   = "serve"
    container_port   = 8000
  }
  lifecycle {
    ignore_changes = [desired_count]
  }
  depends_on = [aws_lb_listener.https, aws_ecs_cluster_capacity_providers.service]
}

resource "aws_appautoscaling_target" "serve" {
  for_each           = aws_ecs_service.serve
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.service.name}/${each.value.name}"
  min_capacity       = var.min_instances
  max_capacity       = var.max_instances
  tags               = local.tags
}

resource "aws_appautoscaling_policy" "queue" {
  for_each           = aws_appautoscaling_target.serve
  name               = "queue-per-core"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id
  target_tracking_scaling_policy_configuration {
    # The average task's queue; a task has this many cores.
    target_value       = var.queue_per_core * local.cores
    scale_out_cooldown = 60
    scale_in_cooldown  = 600
    customized_metric_specification {
      namespace   = local.namespace
      metric_name = "depth_queue_depth"
      statistic   = "Average"
      dimensions {
        name  = "service"
        value = var.name
      }
    }
  }
}
