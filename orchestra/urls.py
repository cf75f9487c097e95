"""Every address of the product: each app brings its own, in full."""

from allauth.account.decorators import secure_admin_login
from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.utils.module_loading import module_has_submodule

handler400 = "apps.common.problems.bad_request"
handler403 = "apps.common.problems.permission_denied"
handler404 = "apps.common.problems.page_not_found"
handler500 = "apps.common.problems.server_error"

admin.site.site_header = admin.site.site_title = "Orchestra"
admin.site.index_title = "Back office"
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign] # one way in, one limit

urlpatterns = [
    path("admin/", admin.site.urls),
    *(
        path("", include(f"{config.name}.urls"))
        for config in apps.get_app_configs()
        if config.name.startswith("apps.") and module_has_submodule(config.module, "urls")
    ),
]
