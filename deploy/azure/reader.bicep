// Allows an identity to read this subscription, which the checker `azure` needs.
targetScope = 'subscription'

@description('Object ID of the identity.')
param principalId string

var readerRole = 'acdd72a7-3385-48ef-bd42-f606fba81ae7' // Reader, the same in every tenant

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, readerRole)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', readerRole)
  }
}
