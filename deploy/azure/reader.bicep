// Lets an identity read this subscription: what the checker `azure` needs, and all that it needs.
targetScope = 'subscription'

@description('Object id of the identity.')
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
