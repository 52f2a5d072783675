"""
The commands of docs/backup.md that name containers, run without a container engine.

Each service's own command runs with the settings of the compose file: its volumes are folders, its
secrets the files of `deploy/secrets.sh`, its addresses those of the test's servers.  Images,
networks and access rights of volumes are not tested.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.identity.mosquitto import PLUGIN
from services.local import MOSQUITTO, POSTGRES_BIN, own_folder, service_account
from tests import commands
from tests.deploy.files import DEPLOY, read
from tests.ports import free_port

# in the order of `depends_on`; the database is that of the test, backups have tests of their own
_STARTED = ("migrate", "logins", "broker", "mosquitto", "signer", "api", "watch", "run")
_HOME = "/var/lib/tonne"  # of the image
_ADDRESS = re.compile(r"@timescaledb:5432/tonne$")


class Composed:
    """Services of a compose file as processes of this machine, in a folder."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self._database = folder, database_url
        self._services: dict[str, Any] = read(DEPLOY / "compose.yaml")[0]["services"]
        self._mqtt, self._running = free_port(), {}
        self.api = f"127.0.0.1:{free_port()}"

    def line(self, text: str) -> str:
        """Run one line of the page; return its output."""
        words = shlex.split(text, comments=True)
        if words[0] == "sudo":
            words = words[1:]
        if words[:2] == ["sh", "deploy/secrets.sh"]:
            return self._secrets()
        if words[0] != "docker":
            return self._done(words)
        if words[1] == "run":
            return self._image(words[2:])
        assert words[1:4] == ["compose", "-f", "deploy/compose.yaml"], text
        what, *rest = words[4:]
        return {"up": self._up, "run": self._once, "exec": self._exec}[what](rest)

    def volume(self, name: str) -> Path:
        """Run a command of this machine, in the folder of the move."""
        found = self.folder / "volumes" / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def tonne(self, words: list[str], **settings: str) -> str:
        """Run a command of this machine, in the folder of the move."""
        rest = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
        return self._done(words, {**rest, **settings}, None, commands.run)

    def end(self) -> None:
        """End every process."""
        for one in reversed(self._running.values()):
            one.terminate()
        for one in self._running.values():
            one.wait(60)

    def log(self, name: str) -> str:
        """Return the output of a service."""
        return (self.folder / f"{name}.log").read_text()

    def environment(self, name: str) -> dict[str, str]:
        """Return the settings of a service, with paths and addresses of this machine."""
        given = {"TONNE_HOME": _HOME, **self._services[name].get("environment", {})}
        told = {key: self._here(name, str(value)) for key, value in given.items()}
        for key, bind in (("TONNE_API_BIND", self.api), ("TONNE_METRICS_BIND", None)):
            if key in told:
                told[key] = bind or f"127.0.0.1:{free_port()}"
        rest = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
        return {**rest, **told}

    def _here(self, name: str, text: str) -> str:
        """Return a container's path or address as on this machine."""
        text = text.replace("mosquitto:8883", f"127.0.0.1:{self._mqtt}")
        places = {"/run/secrets": self.folder / "secrets", _HOME: self.volume(f"tmpfs-{name}")}
        for one in self._services[name].get("volumes", []):
            volume, place = one.split(":")[:2]
            places[place] = self.volume(volume) if volume[0] != "." else DEPLOY / volume
        for place in sorted(places, key=len, reverse=True):
            if text == place or text.startswith(f"{place}/"):
                return str(places[place]) + text[len(place) :]
        return text

    def pod(self, name: str) -> None:
        """Start the container of a manifest in deploy/kubernetes/account, with its settings."""
        (manifest,) = (
            one
            for one in read(DEPLOY / f"kubernetes/account/{name}.yaml")
            if one["kind"] == "Deployment"
        )
        pod = manifest["spec"]["template"]["spec"]
        (found,), held = pod["containers"], {one["name"]: one for one in pod["volumes"]}
        (settings,) = read(DEPLOY / "kubernetes/base/settings.yaml")
        given = {**settings["data"], **{one["name"]: one["value"] for one in found["env"]}}
        given |= {"TONNE_HOME": _HOME, "TONNE_METRICS_BIND": f"127.0.0.1:{free_port()}"}
        if "TONNE_API_BIND" in given:
            given["TONNE_API_BIND"] = self.api
        places = {}
        for mount in found["volumeMounts"]:
            volume = held[mount["name"]]
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            login = volume.get("secret", {}).get("secretName")
            folder = self.volume(claim or login or f"{name}-{mount['name']}")
            file = self.folder / "secrets" / f"{(login or '').removeprefix('tonne-')}_url"
            # the secret `tonne-service` is the login of the API
            file = file.with_name("api_url") if login == "tonne-service" else file
            if file.exists():
                shutil.copy(file, folder / "database_url")
            places[mount["mountPath"]] = folder
        for key, value in given.items():
            for place in sorted(places, key=len, reverse=True):
                if value == place or value.startswith(f"{place}/"):
                    given[key] = str(places[place]) + value[len(place) :]
                    break
        rest = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
        with (self.folder / f"{name}.log").open("wb") as out:
            self._running[name] = commands.start(
                found["args"], env={**rest, **given}, stdout=out, stderr=out
            )

    def _secrets(self) -> str:
        folder = self.folder / "secrets"
        env = os.environ | {"TONNE_SECRETS": str(folder)}
        subprocess.run(["sh", str(DEPLOY / "secrets.sh")], env=env, capture_output=True, check=True)
        parts = urlsplit(self._database)
        at = f"@{parts.hostname}:{parts.port}{parts.path}"
        for file in folder.glob("*_url"):
            text = _ADDRESS.sub(at, file.read_text())
            file.chmod(0o600)
            file.write_text(self._database if file.name == "owner_url" else text)
        return ""

    def _up(self, words: list[str]) -> str:
        named = [one for one in words if not one.startswith("-")]
        for name in named or _STARTED:
            if name == "logins":
                self._logins()
            elif name == "mosquitto":
                self._mosquitto()
            elif self._services[name].get("restart") == "on-failure":
                self._tonne(name, self._command(name))
            else:
                with (self.folder / f"{name}.log").open("wb") as out:
                    self._running[name] = commands.start(
                        self._command(name), env=self.environment(name), stdout=out, stderr=out
                    )
        return ""

    def _command(self, name: str) -> list[str]:
        words = [self._here(name, one) for one in self._services[name].get("command", ["migrate"])]
        if name != "broker":
            return words
        host = {"0.0.0.0:8883": f"127.0.0.1:{self._mqtt}", "mosquitto": "localhost",
                "${MQTT_HOST:-localhost}": "127.0.0.1"}  # fmt: skip
        plugin = PLUGIN.format(arch=os.uname().machine)
        told = [host.get(one, one) for one in words[3:]]
        return [*words[:3], *(plugin if one.endswith("security.so") else one for one in told)]

    def _tonne(self, name: str, words: list[str]) -> str:
        return self._done(words, self.environment(name), self.folder, commands.run)

    def _logins(self) -> None:
        script = (DEPLOY / "timescaledb/logins.sql").read_text()
        text = script.replace("/run/secrets", str(self.folder / "secrets"))
        psql = shutil.which("psql", path=POSTGRES_BIN)
        subprocess.run(
            [psql, self._database], input=text, text=True, check=True, stdout=subprocess.DEVNULL
        )

    def _mosquitto(self) -> None:
        folder, account = self.volume("broker"), service_account("mosquitto")
        own_folder(folder, account)
        with (self.folder / "mosquitto.log").open("wb") as out:
            self._running["mosquitto"] = subprocess.Popen(
                [str(MOSQUITTO), *self._services["mosquitto"]["command"][1:]],
                cwd=folder, stdout=out, stderr=out,
                user=account and account.uid, group=account and account.gid,
            )  # fmt: skip

    def _once(self, words: list[str]) -> str:
        """Run `docker compose run --rm [-v HERE:THERE:ro] SERVICE WORDS`."""
        mounted: dict[str, str] = {}
        while words[0].startswith("-"):
            if words.pop(0) == "-v":
                here, there = words.pop(0).split(":")[:2]
                mounted[there] = here.replace("$PWD", str(self.folder))
        name, *rest = words
        return self._tonne(name, [mounted.get(one, one) for one in rest])

    def _exec(self, words: list[str]) -> str:
        name, program, *rest = [one for one in words if one != "-T"]
        assert program == "tonne"
        assert name in self._running
        return self._tonne(name, rest)

    def _image(self, words: list[str]) -> str:
        """Run `docker run .. -v VOLUME:PLACE .. --entrypoint sh IMAGE -c SCRIPT`."""
        script = words[-1]
        for one in (words[i + 1] for i, word in enumerate(words) if word == "-v"):
            volume, place = one.split(":")
            folder = str(self.volume(volume.removeprefix("tonne_")))
            script = re.sub(rf"(?<![\w/]){place}(?=[/ ]|$)", folder, script)
        return self._done(["sh", "-c", script])

    def _done(
        self,
        words: list[str],
        env: dict[str, str] | None = None,
        folder: Path | None = None,
        run: Any = subprocess.run,
    ) -> str:
        done = run(
            words, env=env, cwd=folder or self.folder, capture_output=True, text=True, check=False
        )
        # `doctor` also names what this installation does without, such as Kafka
        fine = done.returncode == 0 or words[0] == "doctor"
        assert fine, f"{shlex.join(map(str, words))}\n{done.stdout}{done.stderr}"
        sys.stdout.write(done.stdout)
        return done.stdout + done.stderr
