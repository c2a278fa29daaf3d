// The app on Azure App Service (Linux, Python), with its tables in a storage account. How to use it, and the reasons for
// the settings: docs/deploy-azure.md.
targetScope = 'resourceGroup'

@description('Name of the web app, globally unique, because it is part of the address.')
@minLength(2)
@maxLength(60)
param name string

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Size of the plan. Always On needs Basic or more.')
@allowed(['B1', 'B2', 'B3', 'P0v3', 'P1v3'])
param sku string = 'B1'

@description('More settings by name: SLACK_BOT_TOKEN, API_TOKENS and others of .env.example.')
@secure()
param settings object = {}

@description('Let the app read the Service Health of this subscription. Needs the permission to assign roles.')
param readServiceHealth bool = true

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: take('poc${uniqueString(resourceGroup().id, name)}', 24)
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${name}-plan'
  location: location
  kind: 'linux'
  sku: {
    name: sku
    capacity: 1
  }
  properties: {
    reserved: true // means Linux
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  kind: 'app,linux'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    siteConfig: {
      linuxFxVersion: 'PYTHON|3.12'
      appCommandLine: 'gunicorn -c gunicorn.conf.py app:app'
      alwaysOn: true // without it, the app is stopped and checks nothing
      healthCheckPath: '/health'
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: union(
    {
      AZURE_STORAGE_CONNECTION_STRING: 'DefaultEndpointsProtocol=https;AccountName=${storage.name};AccountKey=${storage.listKeys().keys[0].value};EndpointSuffix=${environment().suffixes.storage}'
      AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
      LOG_FORMAT: 'json'
      PORT: '8000'
      PUBLIC_URL: 'https://${site.properties.defaultHostName}'
      SCM_DO_BUILD_DURING_DEPLOYMENT: 'true'
      WEBSITES_CONTAINER_STOP_TIME_LIMIT: '30'
      WEBSITES_PORT: '8000'
      WEBSITE_HTTPLOGGING_RETENTION_DAYS: '7'
    },
    settings
  )
}

resource noPasswordFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noPasswordScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

module reader 'reader.bicep' = if (readServiceHealth) {
  name: '${name}-reader'
  scope: subscription()
  params: {
    principalId: site.identity.principalId
  }
}

output url string = 'https://${site.properties.defaultHostName}'
output principalId string = site.identity.principalId
output storageAccount string = storage.name
