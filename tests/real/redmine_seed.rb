# Turns an empty Redmine into the one that tests find. The keys come from the environment: redmine.py knows them.
raise 'this Redmine has projects: it is somebody\'s, not an empty one to copy' if Project.exists?

Setting.rest_api_enabled = '1'
Setting.login_required = '1'
Setting.notified_events = []

def person(login, firstname, lastname)
  User.new(firstname: firstname, lastname: lastname, mail: "#{login}@example.com", language: 'en').tap do |user|
    user.login = login
    user.random_password
    user.save!
  end
end

def give_key(user, key)
  Token.create!(user: user, action: 'api')
  Token.where(user_id: user.id, action: 'api').update_all(value: key) # a new token always makes its own
end

bot = person('alertbot', 'Alert', 'Bot')
jane = person('jane', 'Jane', 'Doe')
admin = User.find_by_login('admin')
admin.update_columns(must_change_passwd: false)

give_key(bot, ENV.fetch('BOT_KEY'))
give_key(jane, ENV.fetch('JANE_KEY'))
give_key(admin, ENV.fetch('ADMIN_KEY'))

IssueCustomField.create!(
  name: ENV.fetch('FINGERPRINT_FIELD'), field_format: 'string', max_length: 64,
  is_filter: true, is_for_all: true, trackers: Tracker.all.to_a
)

developer = Role.find_by_name('Developer') || raise('the default roles are not loaded')
%w[ops tests].each do |identifier|
  project = Project.create!(name: identifier.capitalize, identifier: identifier, is_public: false, trackers: Tracker.all.to_a)
  [bot, jane].each { |user| Member.create!(project: project, principal: user, roles: [developer]) }
end
