# Alarms, dashboard, budget. infra/RUNBOOK.md says for each alarm what causes it and what to do.

locals {
  balancer = { LoadBalancer = aws_lb.service.arn_suffix }
  targets  = merge(local.balancer, { TargetGroup = aws_lb_target_group.service.arn_suffix })
  own      = { service = var.name }
  elb      = "AWS/ApplicationELB"
  alarms = {
    no-healthy-task = { namespace = local.elb, metric = "HealthyHostCount", dimensions = local.targets, statistic = "Minimum", below = true, limit = 1, minutes = 2 }
    unhealthy-task  = { namespace = local.elb, metric = "UnHealthyHostCount", dimensions = local.targets, statistic = "Maximum", below = false, limit = 0, minutes = 10 }
    errors          = { namespace = local.elb, metric = "HTTPCode_Target_5XX_Count", dimensions = local.targets, statistic = "Sum", below = false, limit = 5, minutes = 5 }
    slow            = { namespace = local.elb, metric = "TargetResponseTime", dimensions = local.targets, statistic = "p95", below = false, limit = 5, minutes = 10 }
    queue-full      = { namespace = local.namespace, metric = "depth_queue_depth", dimensions = local.own, statistic = "Average", below = false, limit = 24, minutes = 5 }
    cores-lost      = { namespace = local.namespace, metric = "depth_cores_in_service", dimensions = local.own, statistic = "Minimum", below = true, limit = var.platform == "cpu" ? 1 : local.cores, minutes = 5 }
  }
}

resource "aws_cloudwatch_metric_alarm" "service" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "See infra/RUNBOOK.md, ${each.key}."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = each.value.below ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.limit
  period              = 60
  evaluation_periods  = each.value.minutes
  # No data from the load balancer is no traffic; no task at all is an alarm.
  treat_missing_data = each.key == "no-healthy-task" ? "breaching" : "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  ok_actions         = [var.alarm_topic_arn]
  tags               = local.tags
}

resource "aws_cloudwatch_dashboard" "service" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for index, name in sort(keys(local.alarms)) : {
      type   = "metric"
      x      = (index % 3) * 8
      y      = floor(index / 3) * 6
      width  = 8
      height = 6
      properties = {
        title  = name
        region = data.aws_region.current.name
        stat   = local.alarms[name].statistic
        period = 60
        metrics = [concat(
          [local.alarms[name].namespace, local.alarms[name].metric],
          flatten([for key, value in local.alarms[name].dimensions : [key, value]]),
        )]
        annotations = { horizontal = [{ label = "alarm", value = local.alarms[name].limit }] }
      }
    }]
  })
}

resource "aws_budgets_budget" "service" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = local.tags
  cost_filter {
    name   = "TagKeyValue"
    values = ["user:service$${var.name}"]
  }
  dynamic "notification" {
    for_each = [80, 100]
    content {
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      notification_type         = notification.value == 100 ? "FORECASTED" : "ACTUAL"
      subscriber_sns_topic_arns = [var.alarm_topic_arn]
    }
  }
}
