"""``/api/users/{name}/subscription``: the URL; what it leads to is served by `vpn.api.subscription_gate`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from vpn.api.errors import responses
from vpn.api.schemas.subscriptions import SubscriptionView
from vpn.domain.user import User
from vpn.links import schemes
from vpn.links.documents.formats import FORMATS
from vpn.services.subscriptions import SubscriptionService
from vpn.services.users import UserService

Name = Annotated[str, Path(max_length=2000, examples=["alice"])]


def router(users: UserService, subscriptions: SubscriptionService) -> APIRouter:
    """Subscriptions: the URL of each user, and another one."""
    router = APIRouter(prefix="/api/users/{name}/subscription", tags=["subscriptions"], responses=responses(404))

    @router.get("", response_model_exclude_none=True)
    async def show_subscription(name: Name) -> SubscriptionView:
        """Show a user's subscription; it is made if there is none."""
        user = await users.get(name)
        return view(user, await subscriptions.token(user))

    @router.post("/revoke", response_model_exclude_none=True)
    async def revoke_subscription(name: Name) -> SubscriptionView:
        """Give a user another URL. The one before is void at once; links that came from it are not."""
        user = await users.get(name)
        return view(user, await subscriptions.revoke(user))

    def view(user: User, token: str) -> SubscriptionView:
        url = subscriptions.url(token)
        key = subscriptions.dynamic_key(url)
        return SubscriptionView(
            user=user.name,
            url=url,
            outline=schemes.build(key) if key else None,
            formats={name: f"{url}?format={name}" for name in FORMATS},
            enabled=subscriptions.settings.enabled,
            notice=subscriptions.base.notice or None,
        )

    return router
