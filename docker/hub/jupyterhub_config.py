"""JupyterHub on one machine: each user is a user of the system, and a server is a process.

Anyone who knows the password may come in under any name that the system has: for trying and for measuring. Put an authenticator of your own
here (PAM, OAuth, LTI) before others can reach the port. What users share, the base library and the compiled course, lies in
/usr/local/share/gradbook/cache and is found there by itself.
"""
import os

c = get_config()  # noqa: F821, which JupyterHub defines

c.JupyterHub.bind_url = os.environ.get("HUB_URL", "http://127.0.0.1:8000")
c.JupyterHub.hub_bind_url = os.environ.get("HUB_API_URL", "http://127.0.0.1:8081")
c.JupyterHub.db_url = "sqlite:///" + os.path.join(os.environ.get("HUB_FOLDER", "."), "jupyterhub.sqlite")
c.JupyterHub.cookie_secret_file = os.path.join(os.environ.get("HUB_FOLDER", "."), "cookie_secret")
c.ConfigurableHTTPProxy.command = os.environ.get("HUB_PROXY", "configurable-http-proxy").split()
c.ConfigurableHTTPProxy.api_url = os.environ.get("HUB_PROXY_API_URL", "http://127.0.0.1:8001")
c.ConfigurableHTTPProxy.pid_file = os.path.join(os.environ.get("HUB_FOLDER", "."), "proxy.pid")

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["HUB_PASSWORD"]
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = ["jupyterhub-singleuser"]
c.Spawner.notebook_dir = "~"
c.Spawner.env_keep = ["PATH", "LANG", "GOTOOLCHAIN", "GOMODCACHE", "GRADBOOK_SHARED_CACHE"]

# measure.py starts servers and looks at them by this token.
if os.environ.get("HUB_TOKEN"):
    c.JupyterHub.services = [{"name": "measure", "api_token": os.environ["HUB_TOKEN"]}]
    c.JupyterHub.load_roles = [{"name": "measure", "services": ["measure"], "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"]}]
