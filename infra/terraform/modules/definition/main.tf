# Compile, measure on the chip, promote, deploy, ask through the load balancer; on failure go back.
# A run's input: {"model": "vits", "target": "inf1", "sizes": "518x518 518x686", "alias": "vits/inf1", "run": "2026-11-27"}
# The state machine as JSON. A module without a provider, so it can be read and tested without an account.

locals {
  # By state: the next state, and the state after a failure. The dry run walks the same table.
  told = jsondecode(file("${path.module}/../../../pipeline/steps.json"))
  retry = { for state, attempts in local.told.attempts : state => { Retry = [
    { ErrorEquals = ["States.ALL"], IntervalSeconds = 30, MaxAttempts = attempts - 1, BackoffRate = 2 }
  ] } }
  batch = {
    for step in keys(local.told.steps) : title(step) => {
      Type     = "Task"
      Resource = "arn:aws:states:::batch:submitJob.sync"
      Parameters = {
        JobName       = "${var.name}-${step}"
        JobDefinition = var.job_definitions[step]
        JobQueue      = var.queues[step]
        ContainerOverrides = { Environment = [
          { Name = "MODEL", "Value.$" = "$.model" },
          { Name = "TARGET", "Value.$" = "$.target" },
          { Name = "SIZES", "Value.$" = "$.sizes" },
          { Name = "ALIAS", "Value.$" = "$.alias" },
          { Name = "RUN", "Value.$" = "$.run" },
          { Name = "STORE", Value = var.store },
          { Name = "URL", Value = var.url },
        ] }
      }
      ResultPath = null
      Next       = local.told.flow[title(step)][0]
      Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = local.told.flow[title(step)][1] }]
    }
  }
  # A new deployment of every ECS service takes what the alias names now. The old tasks stay until the new ones are healthy.
  deploy = {
    for state in ["Deploy", "DeployBefore"] : state => {
      Type       = "Map"
      ItemsPath  = "$.services"
      ResultPath = null
      ItemProcessor = {
        ProcessorConfig = { Mode = "INLINE" }
        StartAt         = "Update"
        States = {
          Update = {
            Type       = "Task"
            Resource   = "arn:aws:states:::aws-sdk:ecs:updateService"
            Parameters = { Cluster = var.cluster_arn, "Service.$" = "$", ForceNewDeployment = true }
            # The ARN goes on as the item.
            ResultSelector = { "service.$" = "$.Service.ServiceArn" }
            Next           = "Wait"
          }
          Wait = { Type = "Wait", Seconds = 30, Next = "Look" }
          Look = {
            Type       = "Task"
            Resource   = "arn:aws:states:::aws-sdk:ecs:describeServices"
            Parameters = { Cluster = var.cluster_arn, "Services.$" = "States.Array($.service)" }
            ResultSelector = {
              "service.$" = "$.Services[0].ServiceArn"
              "state.$"   = "$.Services[0].Deployments[?(@.Status == 'PRIMARY')].RolloutState"
            }
            Next = "Settled"
          }
          Settled = {
            Type = "Choice"
            Choices = [
              { Variable = "$.state[0]", StringEquals = "COMPLETED", Next = "Settled well" },
              { Variable = "$.state[0]", StringEquals = "FAILED", Next = "Settled badly" },
            ]
            Default = "Wait"
          }
          "Settled well"  = { Type = "Succeed" }
          "Settled badly" = { Type = "Fail", Error = "Deployment", Cause = "ECS gave the deployment up; see the events of the service" }
        }
      }
      Next  = local.told.flow[state][0]
      Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = local.told.flow[state][1] }]
    }
  }
  flow = {
    Begin = {
      Type       = "Pass"
      Result     = values(var.services)
      ResultPath = "$.services"
      Next       = local.told.start
    }
    Done   = { Type = "Succeed" }
    Failed = { Type = "Fail", Error = "Pipeline", Cause = "A step failed; its job's log is in CloudWatch" }
  }
  definition = jsonencode({
    TimeoutSeconds = 86400
    Comment        = "The commands are in infra/pipeline/steps.json."
    StartAt        = "Begin"
    States = merge(local.flow, {
      for state, task in merge(local.batch, local.deploy) : state => merge(task, lookup(local.retry, state, {}))
    })
  })
}

